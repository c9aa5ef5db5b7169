/** What a person is told unasked: that the server has to be installed once, that it runs, that it does not. */

import * as vscode from "vscode";
import type { ServerClient } from "../client";
import { COMMAND } from "../commandIds";
import { readSettings } from "../settings";

/** The walkthrough's own word for it, in package.json. */
export const HAS_SERVER = "greenCode.hasServer";
const DECLINED = "greenCode.declinedInstallation";
const { t } = vscode.l10n;

/** At most one notification per window; everything later stays in the status bar. */
export function tellOnce(client: ServerClient, memory: vscode.Memento): vscode.Disposable {
  const subscription = client.onDidChange(({ server, installing }) => {
    if (installing !== "") return;
    if (server.phase === "missing") {
      subscription.dispose();
      void welcome(memory);
    } else if (server.phase === "stopped") {
      subscription.dispose();
      void warn(server.message);
    }
  });
  return subscription;
}

/**
 * Puts another first step into the walkthrough as soon as a server works, whoever has installed it: one that is ticked
 * when it is seen. (The editor ticks nothing by what was so already when it read the walkthrough.)
 */
export function tickInstallation(client: ServerClient): vscode.Disposable {
  const subscription = client.onDidChange(({ server }) => {
    if (server.phase !== "running") return;
    subscription.dispose();
    void vscode.commands.executeCommand("setContext", HAS_SERVER, true);
  });
  return subscription;
}

/** A machine without a server is one that is new to us; nothing is wrong with it. */
async function welcome(memory: vscode.Memento): Promise<void> {
  if (memory.get(DECLINED) === true) return;
  const install = t("Install Server");
  const notNow = t("Not Now");
  const chosen = await vscode.window.showInformationMessage(
    t(
      "Welcome to Green Code. Its server completes code on this machine and is installed once. {0}",
      t("It fetches about 170 MB once and takes about 0.6 GB of disk."),
    ),
    install,
    notNow,
  );
  if (chosen === install) await vscode.commands.executeCommand(COMMAND.installServer);
  if (chosen === notNow) await memory.update(DECLINED, true);
}

/**
 * Whether to install although another server, named by the settings or the PATH, goes before what would be installed.
 *
 * Asked in a dialog: a notification that nobody answered would leave the command waiting, and each later press with it.
 */
export async function wantsSecondServer(command: string): Promise<boolean> {
  const install = t("Install Server");
  const chosen = await vscode.window.showInformationMessage(
    t(
      "Green Code: {0} is the server, by your settings or the PATH, and stays it. Install one beside it all the same?",
      command,
    ),
    { modal: true },
    install,
  );
  return chosen === install;
}

/** Offers what the chosen model lacks, where the server is one that we have installed; once for each model. */
export function offerTorch(
  client: ServerClient,
  isOurs: () => Promise<boolean>,
): vscode.Disposable {
  let offered = "";
  return client.onDidChange(({ status, installing }) => {
    const { model } = readSettings();
    if (status?.remedy !== "torch" || installing !== "" || offered === model) return;
    offered = model;
    void isOurs().then((ours) => (ours ? askForTorch(model) : undefined));
  });
}

async function askForTorch(model: string): Promise<void> {
  const add = t("Add PyTorch");
  const chosen = await vscode.window.showInformationMessage(
    t(
      "Green Code: here {0} needs PyTorch, which the default model does without: about 220 MB to fetch, 0.9 GB of disk.",
      model,
    ),
    add,
  );
  if (chosen === add) await vscode.commands.executeCommand(COMMAND.addTorch);
}

async function warn(message: string): Promise<void> {
  const showLog = t("Show Log");
  const chosen = await vscode.window.showWarningMessage(`Green Code: ${message}`, showLog);
  if (chosen === showLog) await vscode.commands.executeCommand(COMMAND.showLog);
}

/** Says what to do now, as soon as the model of a server that was just installed is there. */
export function tellWhenReady(client: ServerClient): vscode.Disposable {
  const subscription = client.onDidChange(({ status }) => {
    if (typeof status?.model !== "string" || !status.quiescent) return;
    subscription.dispose();
    void vscode.window.showInformationMessage(
      t("Green Code is ready: type, and Tab takes the grey text."),
    );
  });
  return subscription;
}
