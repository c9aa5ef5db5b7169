/**
 * START HERE. Builds the parts and connects them; each does its own work.
 *
 * client.ts runs the server and keeps its newest messages; statusBar.ts and sliderView.ts show them; commands.ts
 * is what a person can do; setup/ installs the server.
 */

import { access } from "node:fs/promises";
import { env, platform } from "node:process";
import * as vscode from "vscode";
import { ServerClient } from "./client";
import { registerCommands } from "./commands";
import { registerDoctor } from "./doctor";
import { FileSwitches } from "./fileSwitches";
import { historyOpener } from "./historyView";
import { createLogger } from "./logger";
import { offerModels } from "./models";
import { chosenPythons, watchPythons } from "./pythonExtensions";
import { onDidChangeToken, tokenEnvironment } from "./remoteToken";
import { resolveServer, type ServerCommand } from "./server";
import { readSettings, SECTION } from "./settings";
import { Environments, isWithin, POINTER } from "./setup/environments";
import { installServer } from "./setup/installation";
import {
  offerTorch,
  tellOnce,
  tellWhenReady,
  tickInstallation,
  wantsSecondServer,
} from "./setup/welcome";
import { registerSliderView } from "./sliderView";
import { createStatusBar } from "./statusBar";

let client: ServerClient | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const logger = createLogger();
  const environments = new Environments(context.globalStorageUri.fsPath);
  const resolve = async (): Promise<ServerCommand | undefined> => {
    const settings = readSettings();
    return resolveServer({
      ...settings,
      chosenPythons: settings.usesChosenPython ? await chosenPythons() : [],
      path: env["PATH"] ?? "",
      platform,
      managedFolder: await environments.current(),
      extensionFolder: context.extensionUri.fsPath,
      exists: isThere,
    });
  };
  const { secrets } = context;
  const files = new FileSwitches(context.workspaceState);
  const started = new ServerClient({
    logger,
    resolve,
    environment: () => tokenEnvironment(secrets),
    isFileOff: (uri) => files.isOff(uri),
  });
  client = started;
  const askAndInstall = async (withTorch: boolean): Promise<void> => {
    const command = (await resolve())?.command;
    const isOurs = command === undefined || isWithin(command, await environments.current());
    if (isOurs || (await wantsSecondServer(command))) {
      await install(started, environments, context, logger, withTorch);
    }
  };
  const statusBar = createStatusBar(started, files);
  const restartIfChanged = (): void => void started.restartIfChanged();
  context.subscriptions.push(
    logger,
    started,
    files,
    statusBar.item,
    registerSliderView(started, context.extensionUri),
    registerDoctor(),
    registerCommands({
      client: started,
      files,
      extension: context.extension,
      resolve,
      logger,
      secrets,
      sentence: statusBar.sentence,
      showHistory: historyOpener(started, context.extensionUri),
      installServer: onceAtATime(() => askAndInstall(false)),
      addTorch: onceAtATime(() => askAndInstall(true)),
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SECTION)) restartIfChanged();
    }),
    watch(context.globalStorageUri, restartIfChanged),
    onDidChangeToken(secrets, () => void started.restart()),
    tellOnce(started, context.globalState),
    tickInstallation(started),
    offerTorch(started, async () =>
      isWithin((await resolve())?.command, await environments.current()),
    ),
    offerModels(started, context.globalState),
  );
  void started.restart();
  if (readSettings().usesChosenPython) {
    void watchPythons(restartIfChanged).then((watcher) => context.subscriptions.push(watcher));
  }
}

export function deactivate(): Promise<void> | undefined {
  return client?.stop();
}

async function install(
  client: ServerClient,
  environments: Environments,
  { extensionUri, subscriptions }: vscode.ExtensionContext,
  logger: vscode.LogOutputChannel,
  withTorch: boolean,
): Promise<void> {
  const onProgress = (message: string): void => {
    if (message !== "") client.showInstallation(message);
  };
  const outcome = await installServer({
    environments,
    extensionUri,
    withTorch,
    logger,
    onProgress,
  });
  if (outcome === "installed") {
    await client.restart();
    subscriptions.push(tellWhenReady(client));
  }
  client.showInstallation(""); // not before: the server would look missing until it starts
  if (outcome === "installed") await environments.removeOthers();
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Another window that has installed or repaired the server has made it this window's as well. */
function watch(storage: vscode.Uri, onChange: () => void): vscode.Disposable {
  const watcher = vscode.workspace.createFileSystemWatcher(
    new vscode.RelativePattern(storage, POINTER),
  );
  return vscode.Disposable.from(
    watcher,
    watcher.onDidChange(onChange),
    watcher.onDidCreate(onChange),
  );
}

/** Whoever calls while the task runs waits for that run. */
function onceAtATime(task: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () =>
    (running ??= task().finally(() => {
      running = undefined;
    }));
}
