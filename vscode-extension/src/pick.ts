/** A list to choose from, in which Enter takes what is in use: the editor's own begins at its first entry. */

import * as vscode from "vscode";

/** Resolves to what was chosen; undefined where nothing was. */
export function pick<T extends vscode.QuickPickItem>(
  items: readonly T[],
  inUse: T | undefined,
  { title, placeHolder }: { readonly title: string; readonly placeHolder: string },
): Promise<T | undefined> {
  const list = vscode.window.createQuickPick<T>();
  list.title = title;
  list.placeholder = placeHolder;
  list.items = items;
  list.activeItems = inUse === undefined ? [] : [inUse];
  return new Promise((resolve) => {
    list.onDidAccept(() => {
      resolve(list.selectedItems[0]);
      list.hide();
    });
    list.onDidHide(() => {
      resolve(undefined); // which changes nothing after a choice
      list.dispose();
    });
    list.show();
  });
}
