/**
 * The slider of green mode, with what was measured of it and the session's energy beside it.
 *
 * It writes the setting and follows the setting; there is no second path to the decoder.
 */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { COMMAND, SLIDER_VIEW } from "./commandIds";
import { tellFailure } from "./failure";
import { pageOptions, renderPage } from "./page";
import { isGreenMode, readSettings, SECTION, writeGreenMode } from "./settings";
import { sliderPage } from "./sliderPage";

/** What the page says. */
interface Message {
  readonly greenMode?: unknown;
  readonly command?: unknown;
}

/** The commands that the page has buttons for. */
const COMMANDS: readonly unknown[] = [COMMAND.installServer, COMMAND.showHistory];

/** Registers the view of the activity bar. */
export function registerSliderView(
  client: ServerClient,
  extensionUri: vscode.Uri,
): vscode.Disposable {
  return vscode.window.registerWebviewViewProvider(SLIDER_VIEW, {
    resolveWebviewView: (view) => resolveView(view, client, extensionUri),
  });
}

async function resolveView(
  view: vscode.WebviewView,
  client: ServerClient,
  extensionUri: vscode.Uri,
): Promise<void> {
  const { webview } = view;
  const refresh = (): void => {
    void webview.postMessage(sliderPage(client.snapshot, readSettings().greenMode));
  };
  const subscriptions = vscode.Disposable.from(
    client.onDidChange(refresh),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(`${SECTION}.greenMode`)) refresh();
    }),
    webview.onDidReceiveMessage(async ({ greenMode, command }: Message) => {
      try {
        if (isGreenMode(greenMode)) await writeGreenMode(greenMode);
        else if (COMMANDS.includes(command)) await vscode.commands.executeCommand(String(command));
        else refresh(); // the page has just loaded
      } catch (error) {
        tellFailure(error);
        refresh(); // the page shows what was asked for, not what holds
      }
    }),
  );
  view.onDidDispose(() => {
    subscriptions.dispose();
  });
  webview.options = pageOptions(extensionUri);
  webview.html = await renderPage(webview, extensionUri, "slider");
}
