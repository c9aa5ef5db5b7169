/** The menu behind the status bar item: what fits now stands first. Does nothing itself, but to run commands. */

import * as vscode from "vscode";
import { COMMAND, OPEN_SLIDER, type CommandId } from "./commandIds";
import { GREEN_MODE_MAX, PRESETS } from "./greenMode";
import { isLanguageOn } from "./languages";
import { readSettings } from "./settings";
import type { Snapshot } from "./snapshot";

const { t } = vscode.l10n;

interface MenuItem extends vscode.QuickPickItem {
  readonly command?: string;
  readonly argument?: string;
}

/** The open file, as far as it can be switched. */
export interface OpenFile {
  readonly language: string;
  readonly isOff: boolean;
}

/** Shows the menu under why things are as they are, and runs what is chosen. */
export async function showMenu(
  snapshot: Snapshot,
  file: OpenFile | undefined,
  why: string,
): Promise<void> {
  const picked = await vscode.window.showQuickPick(menuOf(snapshot, file), {
    title: "Green Code",
    ...(why === "" ? {} : { placeHolder: why }),
  });
  if (picked?.command === undefined) return;
  await vscode.commands.executeCommand(
    picked.command,
    ...(picked.argument === undefined ? [] : [picked.argument]),
  );
}

/** The entries, for the open file, if one is. */
export function menuOf(snapshot: Snapshot, file: OpenFile | undefined): MenuItem[] {
  const { enable, greenMode, languages } = readSettings();
  const { server, status, installing } = snapshot;
  const isSnoozed = status?.silence === "snoozed";
  const isMissing = server.phase === "missing" && installing === "";
  const preset = PRESETS.find((each) => each.greenMode === greenMode);
  return [
    ...(isMissing ? [item("cloud-download", t("Install server"), COMMAND.installServer)] : []),
    ...(status?.remedy === "torch"
      ? [item("cloud-download", t("Add PyTorch"), COMMAND.addTorch)]
      : []),
    ...(isSnoozed ? [item("bell", t("Wake up"), COMMAND.wakeUp)] : []),
    separator(t("Suggestions")),
    enable
      ? item("circle-slash", t("Switch off"), COMMAND.disable)
      : item("play", t("Switch on"), COMMAND.enable),
    ...(file === undefined || !enable
      ? []
      : [languageItem(file.language, languages), fileItem(file)]),
    ...(isSnoozed || !enable ? [] : [item("bell-slash", t("Snooze…"), COMMAND.snooze)]),
    {
      ...item("package", t("Choose a model…"), COMMAND.chooseModel),
      ...(typeof status?.model === "string" ? { description: status.model } : {}),
    },
    separator(t("Energy")),
    {
      ...item("settings", t("Green mode…"), COMMAND.choosePreset),
      description:
        t("{0} of {1}", greenMode, GREEN_MODE_MAX) +
        (preset === undefined ? "" : `, ${t(preset.name)}`),
    },
    { label: `$(window) ${t("Open slider")}`, command: OPEN_SLIDER },
    item("graph", t("History"), COMMAND.showHistory),
    item("history", t("Begin a new session"), COMMAND.resetSession),
    separator(t("Help")),
    item("rocket", t("Get started"), COMMAND.openWalkthrough),
    item("pulse", t("Doctor"), COMMAND.doctor),
    item("output", t("Show log"), COMMAND.showLog),
    item("refresh", t("Restart server"), COMMAND.restart),
    ...(isMissing ? [] : [item("tools", t("Repair server"), COMMAND.repairServer)]),
    {
      label: `$(gear) ${t("Settings")}`,
      command: "workbench.action.openSettings",
      argument: "@ext:green-code.green-code",
    },
    {
      label: `$(keyboard) ${t("Keyboard shortcuts")}`,
      command: "workbench.action.openGlobalKeybindings",
      argument: "greenCode",
    },
  ];
}

function languageItem(language: string, languages: Readonly<Record<string, boolean>>): MenuItem {
  return isLanguageOn(languages, language)
    ? item("circle-slash", t("Switch off for {0}", language), COMMAND.toggleLanguage)
    : item("play", t("Switch on for {0}", language), COMMAND.toggleLanguage);
}

function fileItem({ isOff }: OpenFile): MenuItem {
  return isOff
    ? item("play", t("Switch on for this file"), COMMAND.toggleFile)
    : item("circle-slash", t("Switch off for this file"), COMMAND.toggleFile);
}

function item(icon: string, label: string, command: CommandId): MenuItem {
  return { label: `$(${icon}) ${label}`, command };
}

function separator(label: string): MenuItem {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}
