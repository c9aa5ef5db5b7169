/** The status bar item that shows the totals. What it says is decided in totals.ts. */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { readSettings, SECTION } from "./settings";
import { renderTotals, type Totals } from "./totals";

const PRIORITY = 100; // left of the cursor position and the language

const BACKGROUNDS: Record<Totals["severity"], string | undefined> = {
  none: undefined,
  warning: "statusBarItem.warningBackground",
  error: "statusBarItem.errorBackground",
};

/** Shows the item and keeps it up to date until it is disposed. */
export function createStatusBar(client: ServerClient): vscode.Disposable {
  const item = vscode.window.createStatusBarItem(
    "greenCode.energy",
    vscode.StatusBarAlignment.Right,
    PRIORITY,
  );
  item.name = "Green Code";
  item.command = "greenCode.showMenu";
  const refresh = (): void => {
    draw(item, renderTotals(client.snapshot, readSettings()));
  };
  refresh();
  item.show();
  return vscode.Disposable.from(
    item,
    client.onDidChange(refresh),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SECTION)) refresh();
    }),
  );
}

function draw(item: vscode.StatusBarItem, totals: Totals): void {
  const tooltip = new vscode.MarkdownString(totals.tooltip);
  tooltip.isTrusted = {
    enabledCommands: ["greenCode.setGreenMode", "greenCode.resetSession", "greenCode.showLog"],
  };
  const background = BACKGROUNDS[totals.severity];
  item.text = totals.text;
  item.tooltip = tooltip;
  item.accessibilityInformation = { label: totals.accessibilityLabel, role: "button" };
  item.backgroundColor = background === undefined ? undefined : new vscode.ThemeColor(background);
}
