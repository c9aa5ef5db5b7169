/** A page of ours in a webview: under a strict policy. Knows nothing of what is on it. */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { t } from "./words";

/** What pages may do. */
export function pageOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(extensionUri, "out")] };
}

/**
 * The HTML of a page: media/NAME.html, with NAME.css and NAME.js as esbuild has bundled them. What stands in double braces
 * there and is no name of a value is a sentence, put in in the editor's language.
 */
export async function renderPage(
  webview: vscode.Webview,
  extensionUri: vscode.Uri,
  name: string,
): Promise<string> {
  const bytes = await vscode.workspace.fs.readFile(
    vscode.Uri.joinPath(extensionUri, "media", `${name}.html`),
  );
  const resource = (file: string): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, "out", file)).toString();
  const values: Readonly<Record<string, string>> = {
    cspSource: webview.cspSource,
    nonce: randomBytes(16).toString("base64"),
    style: resource(`${name}.css`),
    script: resource(`${name}.js`),
    locale: vscode.env.language,
  };
  return fillPage(new TextDecoder().decode(bytes), values);
}

/** Puts values and sentences in. */
export function fillPage(html: string, values: Readonly<Record<string, string>>): string {
  return html.replaceAll(/\{\{([^{}]+)\}\}/g, (_, name: string) => {
    const sentence = name.replaceAll(/\s+/g, " ").trim(); // it may be broken over lines
    return values[sentence] ?? escapeHtml(t(sentence));
  });
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
