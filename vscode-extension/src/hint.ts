/** A sentence in the status bar that is gone after a moment. */

import * as vscode from "vscode";

const SHOWN_MS = 3000;

export function hint(message: string): void {
  vscode.window.setStatusBarMessage(message, SHOWN_MS);
}
