/** Runs a program and hands on its lines as they come. Knows nothing of what it runs. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Command } from "./pip";

/** Runs a program to its end. Throws where it fails, with its last lines, or where it was aborted. */
export type Run = (command: Command, onLine?: (line: string) => void) => Promise<void>;

/** A program that ended badly. */
export class ProgramError extends Error {
  constructor(
    program: string,
    /** What it said last, oldest first. */
    readonly lines: readonly string[],
  ) {
    super(`${program} failed: ${lines.join(" / ")}`);
  }
}

const KEPT_LINES = 40;

/** Makes a `Run`: in a folder, with an environment, until a signal; each line goes to the log as well. */
export function runner(options: {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}): Run {
  const { log, signal, ...rest } = options;
  return async (command, onLine) => {
    const [program, ...arguments_] = command;
    log(command.join(" "));
    signal.throwIfAborted();
    const child = spawn(program, arguments_, {
      ...rest,
      signal,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const lines: string[] = [];
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input, crlfDelay: Infinity }).on("line", (line) => {
        log(line);
        onLine?.(line);
        lines.push(line);
        if (lines.length > KEPT_LINES) lines.shift();
      });
    }
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        if (code === 0) resolve();
        else if (signal.aborted) reject(signal.reason as Error);
        else reject(new ProgramError(program, lines));
      });
    });
  };
}
