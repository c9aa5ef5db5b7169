/**
 * One task at a time over all windows, by a file that whoever works keeps fresh. Knows nothing of the task.
 *
 * A window that is killed leaves its file behind; it counts for nothing once its process is gone, or when it was not
 * touched for a minute.
 */

import { open, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { kill, pid } from "node:process";
import { setTimeout as wait } from "node:timers/promises";

const TOUCH_MS = 10_000;
const STALE_MS = 60_000;
const POLL_MS = 500;

/** Takes the lock; returns what gives it back, or undefined where another window has it. */
export async function tryLock(file: string): Promise<(() => Promise<void>) | undefined> {
  if (await isStale(file)) {
    // Moved, not removed: of two windows that find it, one succeeds.
    const aside = `${file}.${pid}`;
    await rename(file, aside).catch(() => undefined);
    await rm(aside, { force: true });
  }
  try {
    const handle = await open(file, "wx");
    await handle.writeFile(String(pid));
    await handle.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
  const touching = setInterval(() => {
    const now = new Date();
    void utimes(file, now, now).catch(() => undefined);
  }, TOUCH_MS);
  return async () => {
    clearInterval(touching);
    await rm(file, { force: true });
  };
}

/** Waits until nobody has the lock any more, or the signal aborts. */
export async function untilFree(file: string, signal: AbortSignal): Promise<void> {
  while ((await exists(file)) && !(await isStale(file))) await wait(POLL_MS, undefined, { signal });
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}

async function isStale(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return false;
  if (Date.now() - found.mtimeMs > STALE_MS) return true;
  const owner = Number(await readFile(file, "utf8").catch(() => ""));
  // Empty while its owner writes it.
  return Number.isInteger(owner) && owner > 0 && !isAlive(owner);
}

function isAlive(process: number): boolean {
  try {
    kill(process, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
