/** The commands of the palette, and the menu behind the status bar item. */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { GREEN_MODE_MAX, isGreenMode, readSettings, writeEnable, writeGreenMode } from "./settings";

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
  const commands: Record<string, () => unknown> = {
    "greenCode.enable": () => writeEnable(true),
    "greenCode.disable": () => writeEnable(false),
    "greenCode.setGreenMode": askGreenMode,
    "greenCode.snooze": () => snooze(client),
    "greenCode.resetSession": () => resetSession(client),
    "greenCode.restart": () => client.restart(),
    "greenCode.showLog": () => {
      logger.show();
    },
    "greenCode.installServer": installServer,
    "greenCode.showMenu": () => showMenu(client),
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
  vscode.window.setStatusBarMessage("Green Code: no server is running.", 3000);
}

async function resetSession(client: ServerClient): Promise<void> {
  const done = await client.resetSession();
  vscode.window.setStatusBarMessage(
    done ? "Green Code: a new session began." : "Green Code: no server is running.",
    3000,
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
      ? [{ label: "$(cloud-download) Install server", command: "greenCode.installServer" }]
      : []),
    {
      label: "$(settings) Set green mode…",
      description: `now ${greenMode} of ${GREEN_MODE_MAX}`,
      command: "greenCode.setGreenMode",
    },
    { label: "$(window) Open slider", command: "greenCode.slider.focus" },
    enable
      ? { label: "$(circle-slash) Disable completions", command: "greenCode.disable" }
      : { label: "$(zap) Enable completions", command: "greenCode.enable" },
    { label: "$(bell-slash) Snooze completions…", command: "greenCode.snooze" },
    { label: "$(history) Reset session energy", command: "greenCode.resetSession" },
    { label: "$(refresh) Restart server", command: "greenCode.restart" },
    { label: "$(output) Show log", command: "greenCode.showLog" },
  ];
  const picked = await vscode.window.showQuickPick(items, {
    title: "Green Code",
    ...(server.message === "" ? {} : { placeHolder: server.message }),
  });
  if (picked !== undefined) await vscode.commands.executeCommand(picked.command);
}
