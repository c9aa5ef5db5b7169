/** A page of ours in a webview: its files from media/, under a strict policy. Knows nothing of what is on it. */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";

/** What pages may do. */
export function pageOptions(media: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, localResourceRoots: [media] };
}

/** The HTML of a page: NAME.html, with NAME.css and NAME.js. */
export async function renderPage(
  webview: vscode.Webview,
  media: vscode.Uri,
  name: string,
): Promise<string> {
  const bytes = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(media, `${name}.html`));
  const resource = (file: string): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(media, file)).toString();
  return new TextDecoder()
    .decode(bytes)
    .replaceAll("{{cspSource}}", webview.cspSource)
    .replaceAll("{{nonce}}", randomBytes(16).toString("base64"))
    .replaceAll("{{style}}", resource(`${name}.css`))
    .replaceAll("{{script}}", resource(`${name}.js`));
}
