/** The history beside the editor: asks the server for the ledger, shows it, exports it, and empties it when asked. */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { messageOf, tellFailure } from "./failure";
import { hint } from "./hint";
import { historyPage, toCsv, toJson } from "./history";
import { pageOptions, renderPage } from "./page";
import type { HistoryParams, Span } from "./protocol";
import { readSettings } from "./settings";

const { t } = vscode.l10n;
const SPANS: readonly Span[] = ["hour", "day", "session", "language"];
const DAYS = [1, 7, 30, 365] as const;

/** What the page asks for. */
interface Message {
  readonly by?: unknown;
  readonly days?: unknown;
  readonly action?: "csv" | "json" | "clear";
}

/** Opens the history, or brings the open one to the front. */
export function historyOpener(client: ServerClient, extensionUri: vscode.Uri): () => void {
  let panel: vscode.WebviewPanel | undefined;
  return () => {
    if (panel !== undefined) {
      panel.reveal();
      return;
    }
    panel = open(client, extensionUri);
    panel.onDidDispose(() => {
      panel = undefined;
    });
  };
}

function open(client: ServerClient, extensionUri: vscode.Uri): vscode.WebviewPanel {
  const panel = vscode.window.createWebviewPanel(
    "greenCode.history",
    t("Green Code: History"),
    vscode.ViewColumn.Active,
    pageOptions(extensionUri),
  );
  const media = vscode.Uri.joinPath(extensionUri, "media");
  panel.iconPath = {
    light: vscode.Uri.joinPath(media, "leaf-light.svg"),
    dark: vscode.Uri.joinPath(media, "leaf-dark.svg"),
  };
  const { webview } = panel;
  webview.onDidReceiveMessage(async (message: Message) => {
    const params = paramsOf(message);
    try {
      if (message.action === "clear") await clear(client);
      else if (message.action !== undefined) await save(client, params, message.action);
    } catch (error) {
      tellFailure(error);
    }
    await webview.postMessage(await contentOf(client, params));
  });
  void renderPage(webview, extensionUri, "history").then((html) => {
    webview.html = html;
  });
  return panel;
}

function paramsOf({ by, days }: Message): HistoryParams {
  return {
    by: SPANS.find((span) => span === by) ?? "day",
    days: DAYS.find((each) => each === days) ?? 30,
    country: readSettings().country,
  };
}

async function contentOf(client: ServerClient, params: HistoryParams): Promise<unknown> {
  try {
    const result = await client.history(params);
    return result === undefined ? { error: noServer() } : historyPage(params.by, result);
  } catch (error) {
    return { error: messageOf(error) }; // such as an unknown country
  }
}

async function save(
  client: ServerClient,
  params: HistoryParams,
  format: "csv" | "json",
): Promise<void> {
  const result = await client.history(params);
  if (result === undefined) {
    hint(noServer());
    return;
  }
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const name = `green-code-by-${params.by}.${format}`;
  const uri = await vscode.window.showSaveDialog({
    filters: { [format.toUpperCase()]: [format] },
    ...(folder === undefined ? {} : { defaultUri: vscode.Uri.joinPath(folder, name) }),
  });
  if (uri === undefined) return;
  const text = format === "csv" ? toCsv(result) : toJson(params.by, result);
  await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(text));
  hint(t("Green Code: saved {0}.", uri.fsPath));
}

async function clear(client: ServerClient): Promise<void> {
  const erase = t("Erase");
  const chosen = await vscode.window.showWarningMessage(
    t("Erase the whole energy history of this machine? It cannot be brought back."),
    { modal: true },
    erase,
  );
  if (chosen === erase && !(await client.clearHistory())) hint(noServer());
}

function noServer(): string {
  return t("Green Code: no server is running.");
}
