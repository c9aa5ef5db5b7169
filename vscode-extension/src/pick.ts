/** A list to choose from, in which Enter takes what is in use: the editor's own begins at its first entry. */

import * as vscode from "vscode";

/** Resolves to what was chosen; undefined where nothing was. */
export function pick<T extends vscode.QuickPickItem>(
  items: readonly T[] | Promise<readonly T[]>,
  isInUse: (item: T) => boolean,
  { title, placeHolder }: { readonly title: string; readonly placeHolder: string },
): Promise<T | undefined> {
  const list = vscode.window.createQuickPick<T>();
  list.title = title;
  list.placeholder = placeHolder;
  list.matchOnDetail = true;
  list.busy = true;
  void Promise.resolve(items)
    .then((found) => {
      list.items = found;
      list.activeItems = found.filter(isInUse).slice(0, 1);
    })
    .finally(() => {
      list.busy = false;
    });
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
