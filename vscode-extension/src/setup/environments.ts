/**
 * The environments that the extension makes for the server: which one is in use, and where the next is built.
 *
 * Each is a folder of its own, and one small file names the one in use. A new one is built beside it, and nothing
 * changes until that file names the new one, which happens at once or not at all. Starts no process.
 */

import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";

/** Names the environment in use. */
export const POINTER = "server.json";
const PREFIX = "server-";

/** The environments in the extension's own storage. */
export class Environments {
  /** Where they all are. */
  readonly storage: string;

  constructor(storage: string) {
    this.storage = storage;
  }

  /** The folder of the environment in use; undefined where there is none. */
  async current(): Promise<string | undefined> {
    const { folder } = await this.#pointed();
    // A name and no path: whatever is written there, it stays in the storage.
    return typeof folder === "string" && /^server-\w+$/.test(folder)
      ? join(this.storage, folder)
      : undefined;
  }

  /** Whether the environment in use was made with PyTorch. */
  async hasTorch(): Promise<boolean> {
    return (await this.#pointed()).torch === true;
  }

  /** A folder for the next environment, which is not there yet. */
  async next(): Promise<string> {
    await mkdir(this.storage, { recursive: true });
    return join(this.storage, PREFIX + Date.now().toString(36));
  }

  /** From now on this one is in use. */
  async use(folder: string, { torch }: { torch: boolean }): Promise<void> {
    const pointer = join(this.storage, POINTER);
    const name = folder.slice(this.storage.length + 1);
    await writeFile(`${pointer}.new`, JSON.stringify({ folder: name, torch }));
    await rename(`${pointer}.new`, pointer);
  }

  /** Removes all others; what a server still runs from, on systems that hold such files, goes the next time. */
  async removeOthers(): Promise<void> {
    const current = await this.current();
    const names = await readdir(this.storage).catch(() => []);
    for (const name of names.filter((name) => name.startsWith(PREFIX))) {
      const folder = join(this.storage, name);
      if (folder !== current) await remove(folder);
    }
  }

  async #pointed(): Promise<{ folder?: unknown; torch?: unknown }> {
    try {
      const pointer = await readFile(join(this.storage, POINTER), "utf8");
      return JSON.parse(pointer) as { folder?: unknown; torch?: unknown };
    } catch {
      return {};
    }
  }
}

/** Whether a program lies in an environment. */
export function isWithin(program: string | undefined, folder: string | undefined): boolean {
  return folder !== undefined && program?.startsWith(folder + sep) === true;
}

/** Removes an environment, as far as the system lets it go. */
export async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 2 }).catch(() => undefined);
}
