/** The status bar item that shows the text. What it says is decided in statusText.ts. */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { COMMAND } from "./commandIds";
import type { FileSwitches } from "./fileSwitches";
import { isLanguageOn } from "./languages";
import { readSettings, SECTION } from "./settings";
import { renderStatus, TOOLTIP_COMMANDS, type StatusText } from "./statusText";

const PRIORITY = 100; // left of the cursor position and the language

const BACKGROUNDS: Record<StatusText["severity"], string | undefined> = {
  none: undefined,
  warning: "statusBarItem.warningBackground",
  error: "statusBarItem.errorBackground",
};

/** The item; what it says of why, the menu behind it says as well. */
export interface StatusBar {
  readonly item: vscode.Disposable;
  /** Why things are as they are; "" where all is well. */
  readonly sentence: () => string;
}

/** Shows the item and keeps it up to date until it is disposed. */
export function createStatusBar(client: ServerClient, files: FileSwitches): StatusBar {
  const item = vscode.window.createStatusBarItem(
    "greenCode.energy",
    vscode.StatusBarAlignment.Right,
    PRIORITY,
  );
  item.name = "Green Code";
  item.command = COMMAND.showMenu;
  let sentence = "";
  const refresh = (): void => {
    const { enable, languages } = readSettings();
    const document = vscode.window.activeTextEditor?.document;
    const language = document?.languageId ?? "";
    const languageOff = language === "" || isLanguageOn(languages, language) ? "" : language;
    const isFileOff = document !== undefined && files.isOff(document.uri);
    const isElsewhere = document?.uri.toString() !== client.snapshot.answeredFor;
    const here = { enable, languageOff, isFileOff, isElsewhere };
    const text = renderStatus(client.snapshot, here);
    ({ sentence } = text);
    draw(item, text);
  };
  refresh();
  item.show();
  const subscriptions = vscode.Disposable.from(
    item,
    client.onDidChange(refresh),
    files.onDidChange(refresh),
    vscode.window.onDidChangeActiveTextEditor(refresh),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SECTION)) refresh();
    }),
  );
  return { item: subscriptions, sentence: () => sentence };
}

function draw(item: vscode.StatusBarItem, text: StatusText): void {
  const tooltip = new vscode.MarkdownString(text.tooltip);
  tooltip.isTrusted = { enabledCommands: TOOLTIP_COMMANDS };
  const background = BACKGROUNDS[text.severity];
  item.text = text.text;
  item.tooltip = tooltip;
  item.accessibilityInformation = { label: text.accessibilityLabel, role: "button" };
  item.backgroundColor = background === undefined ? undefined : new vscode.ThemeColor(background);
}
