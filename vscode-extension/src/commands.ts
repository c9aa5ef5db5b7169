/** The commands of the palette. The menu behind the status bar item is menu.ts. */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { COMMAND, type CommandId } from "./commandIds";
import { showDoctor, type DoctorSources } from "./doctor";
import type { FileSwitches } from "./fileSwitches";
import { figuresOf, GREEN_MODE_MAX, PRESETS } from "./greenMode";
import { hint } from "./hint";
import { isLanguageOn } from "./languages";
import { showMenu, type OpenFile } from "./menu";
import { chooseModel } from "./models";
import { pick } from "./pick";
import { askRemoteToken } from "./remoteToken";
import { isGreenMode, readSettings, writeEnable, writeGreenMode, writeLanguage } from "./settings";

const WALKTHROUGH = "green-code.green-code#start";
const { t } = vscode.l10n;

/** What the commands act on. */
export interface CommandTargets extends DoctorSources {
  readonly client: ServerClient;
  readonly files: FileSwitches;
  readonly logger: vscode.LogOutputChannel;
  readonly secrets: vscode.SecretStorage;
  readonly installServer: () => Promise<void>;
  readonly addTorch: () => Promise<void>;
  readonly showHistory: () => void;
  /** Why things are as they are. */
  readonly sentence: () => string;
}

/** Registers all commands of package.json. */
export function registerCommands(targets: CommandTargets): vscode.Disposable {
  const { client, files, logger, secrets, installServer, addTorch, showHistory, sentence } =
    targets;
  const commands: Record<CommandId, () => unknown> = {
    [COMMAND.enable]: () => writeEnable(true),
    [COMMAND.disable]: () => writeEnable(false),
    [COMMAND.toggle]: () => writeEnable(!readSettings().enable),
    [COMMAND.toggleLanguage]: toggleLanguage,
    [COMMAND.toggleFile]: () => {
      toggleFile(files);
    },
    [COMMAND.choosePreset]: choosePreset,
    [COMMAND.setGreenMode]: askGreenMode,
    [COMMAND.chooseModel]: () => askModel(client),
    [COMMAND.setRemoteToken]: () => askRemoteToken(secrets),
    [COMMAND.snooze]: () => askSnooze(client),
    [COMMAND.wakeUp]: () => snooze(client, 0),
    [COMMAND.showHistory]: showHistory,
    [COMMAND.resetSession]: () => resetSession(client),
    [COMMAND.restart]: () => client.restart(),
    [COMMAND.showLog]: () => {
      logger.show();
    },
    [COMMAND.doctor]: () => showDoctor(targets),
    [COMMAND.installServer]: installServer,
    [COMMAND.repairServer]: installServer,
    [COMMAND.addTorch]: addTorch,
    [COMMAND.openWalkthrough]: () =>
      vscode.commands.executeCommand("workbench.action.openWalkthrough", WALKTHROUGH),
    [COMMAND.showMenu]: () => showMenu(client.snapshot, openFile(files), sentence()),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(name, run)),
  );
}

async function toggleLanguage(): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language === undefined) {
    hint(t("Open a file first: completions are switched for its language."));
    return;
  }
  const { languages } = readSettings();
  const isOn = !isLanguageOn(languages, language);
  await writeLanguage(language, isOn);
  hint(
    isOn
      ? t("Green Code: completions are on for {0}.", language)
      : t("Green Code: completions are off for {0}.", language),
  );
}

function toggleFile(files: FileSwitches): void {
  const uri = vscode.window.activeTextEditor?.document.uri;
  if (uri === undefined) hint(t("Open a file first: completions are switched for it alone."));
  else if (files.toggle(uri)) hint(t("Green Code: completions are on for this file."));
  else hint(t("Green Code: completions are off for this file."));
}

function openFile(files: FileSwitches): OpenFile | undefined {
  const document = vscode.window.activeTextEditor?.document;
  if (document === undefined) return undefined;
  return { language: document.languageId, isOff: files.isOff(document.uri) };
}

async function choosePreset(): Promise<void> {
  const { greenMode } = readSettings();
  const presets = PRESETS.map((preset) => ({
    label: `${preset.greenMode === greenMode ? "$(check) " : ""}${t(preset.name)}`,
    description: String(preset.greenMode),
    detail: figuresOf(preset.greenMode),
    greenMode: preset.greenMode,
  }));
  const other = {
    label: t("Another value…"),
    description: t("now {0}", greenMode),
    detail: "",
    greenMode: undefined,
  };
  const inUse = presets.find((preset) => preset.greenMode === greenMode) ?? other;
  const picked = await pick([...presets, other], (item) => item === inUse, {
    title: t("Green mode"),
    placeHolder: t(
      "{0} of {1}: from exactly the model's text to the least energy",
      greenMode,
      GREEN_MODE_MAX,
    ),
  });
  if (picked === undefined) return;
  if (picked.greenMode === undefined) await askGreenMode();
  else await writeGreenMode(picked.greenMode);
}

async function askSnooze(client: ServerClient): Promise<void> {
  const picked = await vscode.window.showQuickPick(
    [
      { label: t("5 minutes"), minutes: 5 },
      { label: t("15 minutes"), minutes: 15 },
      { label: t("1 hour"), minutes: 60 },
      ...(client.snapshot.status?.silence === "snoozed"
        ? [{ label: t("Wake up now"), minutes: 0 }]
        : []),
    ],
    {
      title: t("No completions for…"),
      placeHolder: t("Asking by hand works all the while"),
    },
  );
  if (picked !== undefined) await snooze(client, picked.minutes);
}

async function snooze(client: ServerClient, minutes: number): Promise<void> {
  if (!(await client.snooze(minutes))) hint(noServer());
  else if (minutes === 0) hint(t("Green Code: awake."));
}

async function resetSession(client: ServerClient): Promise<void> {
  hint((await client.resetSession()) ? t("Green Code: a new session began.") : noServer());
}

async function askModel(client: ServerClient): Promise<void> {
  if (!(await chooseModel(client))) hint(noServer());
}

async function askGreenMode(): Promise<void> {
  const answer = await vscode.window.showInputBox({
    title: t("Green mode"),
    prompt: t("0 is lossless, {0} is greenest", GREEN_MODE_MAX),
    value: String(readSettings().greenMode),
    validateInput: (text) =>
      parseGreenMode(text) === undefined
        ? t("Green mode is a whole number from 0 to {0}.", GREEN_MODE_MAX)
        : undefined,
  });
  const greenMode = answer === undefined ? undefined : parseGreenMode(answer);
  if (greenMode !== undefined) await writeGreenMode(greenMode);
}

function parseGreenMode(text: string): number | undefined {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return isGreenMode(value) ? value : undefined;
}

function noServer(): string {
  return t("Green Code: no server is running.");
}
