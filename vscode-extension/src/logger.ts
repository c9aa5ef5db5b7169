/** The log channel that the extension and the server write to. */

import * as vscode from "vscode";

export function createLogger(): vscode.LogOutputChannel {
  return vscode.window.createOutputChannel("Green Code", { log: true });
}
