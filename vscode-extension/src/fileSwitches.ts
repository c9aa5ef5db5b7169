/** Which files completions are off for, remembered with the workspace. Knows nothing of the server. */

import * as vscode from "vscode";

const MEMORY = "greenCode.filesOff";

/** Files by their path, so that the cells of a notebook are one. */
export class FileSwitches implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly #memory: vscode.Memento;
  readonly #off: Set<string>;
  readonly #renamed: vscode.Disposable;

  constructor(memory: vscode.Memento) {
    this.#memory = memory;
    this.#off = new Set(memory.get<readonly string[]>(MEMORY));
    this.#renamed = vscode.workspace.onDidRenameFiles(({ files }) => {
      for (const { oldUri, newUri } of files) this.#rename(oldUri.path, newUri.path);
    });
  }

  /** Fires after each change. */
  get onDidChange(): vscode.Event<undefined> {
    return this.#changed.event;
  }

  isOff({ path }: vscode.Uri): boolean {
    return this.#off.has(path);
  }

  /** Switches a file over; true where it is on now. */
  toggle({ path }: vscode.Uri): boolean {
    const isOn = this.#off.delete(path);
    if (!isOn) this.#off.add(path);
    this.#save();
    return isOn;
  }

  dispose(): void {
    this.#renamed.dispose();
    this.#changed.dispose();
  }

  /** A file that has another name, or lies in a folder that has, is the same file. */
  #rename(before: string, after: string): void {
    for (const path of [...this.#off]) {
      if (path !== before && !path.startsWith(`${before}/`)) continue;
      this.#off.delete(path);
      this.#off.add(after + path.slice(before.length));
      this.#save();
    }
  }

  #save(): void {
    // An untitled file has no folder, and another one is called so tomorrow.
    const lasting = [...this.#off].filter((path) => path.startsWith("/"));
    void this.#memory.update(MEMORY, lasting);
    this.#changed.fire(undefined);
  }
}
