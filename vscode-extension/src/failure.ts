/** What went wrong with something that a person asked for, told to them. */

import * as vscode from "vscode";

export function tellFailure(error: unknown): void {
  void vscode.window.showErrorMessage(`Green Code: ${messageOf(error)}`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
