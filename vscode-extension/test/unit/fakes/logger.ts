/** A log that keeps its lines. */

import type * as vscode from "vscode";

export function fakeLogger(): { logger: vscode.LogOutputChannel; lines: string[] } {
  const lines: string[] = [];
  const keep = (line: string): void => void lines.push(line);
  const logger = { info: keep, debug: keep, warn: keep, error: keep, show: () => undefined };
  return { logger: logger as unknown as vscode.LogOutputChannel, lines };
}
