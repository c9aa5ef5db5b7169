/** A page of ours in a webview: its files from media/, under a strict policy. Knows nothing of what is on it. */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { t } from "./words";

/** What pages may do. */
export function pageOptions(media: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, localResourceRoots: [media] };
}

/**
 * The HTML of a page: NAME.html, with NAME.css and NAME.js, and what both pages' scripts share. What stands in double
 * braces there and is no name of a value is a sentence, put in in the editor's language.
 */
export async function renderPage(
  webview: vscode.Webview,
  media: vscode.Uri,
  name: string,
): Promise<string> {
  const bytes = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(media, `${name}.html`));
  const resource = (file: string): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(media, file)).toString();
  const values: Readonly<Record<string, string>> = {
    cspSource: webview.cspSource,
    nonce: randomBytes(16).toString("base64"),
    style: resource(`${name}.css`),
    script: resource(`${name}.js`),
    elements: resource("elements.js"),
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
