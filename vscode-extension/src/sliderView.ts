/**
 * The slider of green mode with the session's energy beside it.
 *
 * It writes the setting and follows the setting; there is no second path to the decoder.
 */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { SLIDER_VIEW } from "./commandIds";
import { formatExitLayer, formatJoules, formatShare, UNKNOWN } from "./format";
import { meaningOf } from "./greenMode";
import { pageOptions, renderPage } from "./page";
import type { SessionEnergy } from "./protocol";
import { GREEN_MODE_MAX, isGreenMode, readSettings, SECTION, writeGreenMode } from "./settings";

const MEANINGS = Array.from({ length: GREEN_MODE_MAX + 1 }, (_, greenMode) => meaningOf(greenMode));

/** Registers the view of the activity bar. */
export function registerSliderView(
  client: ServerClient,
  extensionUri: vscode.Uri,
): vscode.Disposable {
  const media = vscode.Uri.joinPath(extensionUri, "media");
  return vscode.window.registerWebviewViewProvider(SLIDER_VIEW, {
    resolveWebviewView: (view) => resolveView(view, client, media),
  });
}

async function resolveView(
  view: vscode.WebviewView,
  client: ServerClient,
  media: vscode.Uri,
): Promise<void> {
  const { webview } = view;
  const refresh = (): void => {
    void webview.postMessage({
      greenMode: readSettings().greenMode,
      meanings: MEANINGS,
      ...describe(client.snapshot.energy),
    });
  };
  const subscriptions = vscode.Disposable.from(
    client.onDidChange(refresh),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(`${SECTION}.greenMode`)) refresh();
    }),
    webview.onDidReceiveMessage(async (message: { ready?: true; greenMode?: unknown }) => {
      if (isGreenMode(message.greenMode)) await writeGreenMode(message.greenMode);
      else refresh(); // the page has just loaded
    }),
  );
  view.onDidDispose(() => {
    subscriptions.dispose();
  });
  webview.options = pageOptions(media);
  webview.html = await renderPage(webview, media, "slider");
}

/** The lines beside the slider, ready to be shown. */
function describe(energy: SessionEnergy | null): Record<"energy" | "saved" | "exitLayer", string> {
  if (energy === null) return { energy: UNKNOWN, saved: UNKNOWN, exitLayer: UNKNOWN };
  const { energyJ, provenance, savedJ, baselineEnergyJ, meanExitLayer, layersTotal } = energy;
  return {
    energy: energyJ === null ? UNKNOWN : `${formatJoules(energyJ)}, ${provenance}`,
    saved: `${formatJoules(savedJ)} (${formatShare(savedJ, baselineEnergyJ)})`,
    exitLayer: formatExitLayer(meanExitLayer, layersTotal),
  };
}
