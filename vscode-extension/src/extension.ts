/**
 * START HERE. Builds the parts and connects them; each does its own work.
 *
 * client.ts runs the server and keeps its newest messages; statusBar.ts and sliderView.ts show them; commands.ts
 * is what a person can do.
 */

import { existsSync } from "node:fs";
import { env, platform } from "node:process";
import * as vscode from "vscode";
import { ServerClient } from "./client";
import { COMMAND } from "./commandIds";
import { registerCommands } from "./commands";
import { installServer } from "./installation";
import { createLogger } from "./logger";
import { resolveServer, type ServerCommand } from "./server";
import { readSettings, SECTION } from "./settings";
import { registerSliderView } from "./sliderView";
import { createStatusBar } from "./statusBar";

let client: ServerClient | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const logger = createLogger();
  const managedFolder = vscode.Uri.joinPath(context.globalStorageUri, "server").fsPath;
  const resolve = (): ServerCommand | undefined =>
    resolveServer({
      ...readSettings(),
      path: env["PATH"] ?? "",
      platform,
      managedFolder,
      extensionFolder: context.extensionUri.fsPath,
      exists: existsSync,
    });
  const started = new ServerClient(logger, resolve);
  client = started;
  context.subscriptions.push(
    logger,
    started,
    createStatusBar(started),
    registerSliderView(started, context.extensionUri),
    registerCommands({
      client: started,
      logger,
      installServer: async () => {
        await started.stop(); // it may run from the folder that is made anew
        await installServer({ folder: managedFolder, extensionUri: context.extensionUri, logger });
        await started.restart();
      },
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SECTION)) void started.restartIfChanged();
    }),
    notifyOnce(started),
  );
  void started.restart();
}

export function deactivate(): Promise<void> | undefined {
  return client?.stop();
}

/** One notification per window when there is no server; everything later stays in the status bar. */
function notifyOnce(client: ServerClient): vscode.Disposable {
  const subscription = client.onDidChange(({ server }) => {
    if (server.phase !== "missing" && server.phase !== "stopped") return;
    subscription.dispose();
    const [action, command] =
      server.phase === "missing"
        ? ["Install Server", COMMAND.installServer]
        : ["Show Log", COMMAND.showLog];
    void vscode.window
      .showWarningMessage(`Green Code: ${server.message}`, action)
      .then((chosen) => {
        if (chosen !== undefined) void vscode.commands.executeCommand(command);
      });
  });
  return subscription;
}
