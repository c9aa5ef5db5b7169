/** The commands of the palette, and the menu behind the status bar item. */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { COMMAND, OPEN_SLIDER, type CommandId } from "./commandIds";
import { describeDay } from "./history";
import { GREEN_MODE_MAX, isGreenMode, readSettings, writeEnable, writeGreenMode } from "./settings";

const HISTORY_DAYS = 90;
const NO_SERVER = "Green Code: no server is running.";
const MESSAGE_MS = 3000;

/** What the commands act on. */
export interface CommandTargets {
  readonly client: ServerClient;
  readonly logger: vscode.LogOutputChannel;
  readonly installServer: () => Promise<void>;
}

/** Registers all commands of package.json. */
export function registerCommands({
  client,
  logger,
  installServer,
}: CommandTargets): vscode.Disposable {
  const commands: Record<CommandId, () => unknown> = {
    [COMMAND.enable]: () => writeEnable(true),
    [COMMAND.disable]: () => writeEnable(false),
    [COMMAND.setGreenMode]: askGreenMode,
    [COMMAND.snooze]: () => snooze(client),
    [COMMAND.showHistory]: () => showHistory(client),
    [COMMAND.resetSession]: () => resetSession(client),
    [COMMAND.restart]: () => client.restart(),
    [COMMAND.showLog]: () => {
      logger.show();
    },
    [COMMAND.installServer]: installServer,
    [COMMAND.repairServer]: installServer,
    [COMMAND.showMenu]: () => showMenu(client),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(name, run)),
  );
}

const SNOOZES = [
  { label: "5 minutes", minutes: 5 },
  { label: "15 minutes", minutes: 15 },
  { label: "1 hour", minutes: 60 },
  { label: "Not any more", minutes: 0 },
];

async function snooze(client: ServerClient): Promise<void> {
  const picked = await vscode.window.showQuickPick(SNOOZES, {
    title: "No completions for…",
    placeHolder: "Asking by hand works all the while",
  });
  if (picked === undefined || (await client.snooze(picked.minutes))) return;
  vscode.window.setStatusBarMessage(NO_SERVER, MESSAGE_MS);
}

async function showHistory(client: ServerClient): Promise<void> {
  const history = await client.history(HISTORY_DAYS);
  if (history === undefined) {
    vscode.window.setStatusBarMessage(NO_SERVER, MESSAGE_MS);
    return;
  }
  await vscode.window.showQuickPick(history.days.map(describeDay), {
    title: "Energy by day",
    placeHolder: history.days.length === 0 ? "Nothing was computed yet" : "The newest day first",
  });
}

async function resetSession(client: ServerClient): Promise<void> {
  const done = await client.resetSession();
  vscode.window.setStatusBarMessage(
    done ? "Green Code: a new session began." : NO_SERVER,
    MESSAGE_MS,
  );
}

async function askGreenMode(): Promise<void> {
  const answer = await vscode.window.showInputBox({
    title: "Green mode",
    prompt: `0 is lossless, ${GREEN_MODE_MAX} is greenest`,
    value: String(readSettings().greenMode),
    validateInput: (text) =>
      parseGreenMode(text) === undefined
        ? `Green mode is a whole number from 0 to ${GREEN_MODE_MAX}.`
        : undefined,
  });
  const greenMode = answer === undefined ? undefined : parseGreenMode(answer);
  if (greenMode !== undefined) await writeGreenMode(greenMode);
}

function parseGreenMode(text: string): number | undefined {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return isGreenMode(value) ? value : undefined;
}

interface MenuItem extends vscode.QuickPickItem {
  readonly command: string;
}

async function showMenu(client: ServerClient): Promise<void> {
  const { enable, greenMode } = readSettings();
  const { server } = client.snapshot;
  const items: MenuItem[] = [
    ...(server.phase === "missing"
      ? [{ label: "$(cloud-download) Install server", command: COMMAND.installServer }]
      : []),
    {
      label: "$(settings) Set green mode…",
      description: `now ${greenMode} of ${GREEN_MODE_MAX}`,
      command: COMMAND.setGreenMode,
    },
    { label: "$(window) Open slider", command: OPEN_SLIDER },
    enable
      ? { label: "$(circle-slash) Disable completions", command: COMMAND.disable }
      : { label: "$(zap) Enable completions", command: COMMAND.enable },
    { label: "$(bell-slash) Snooze completions…", command: COMMAND.snooze },
    { label: "$(graph) Show energy by day", command: COMMAND.showHistory },
    { label: "$(history) Reset session energy", command: COMMAND.resetSession },
    { label: "$(refresh) Restart server", command: COMMAND.restart },
    { label: "$(output) Show log", command: COMMAND.showLog },
  ];
  const picked = await vscode.window.showQuickPick(items, {
    title: "Green Code",
    ...(server.message === "" ? {} : { placeHolder: server.message }),
  });
  if (picked !== undefined) await vscode.commands.executeCommand(picked.command);
}
