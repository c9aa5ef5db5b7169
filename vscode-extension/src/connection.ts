/**
 * One connection to one server process. This module alone, with protocol.ts, loads the language client's library, and
 * nobody loads this module before a server is to be started.
 *
 * Inline completion and the settings' way to the server are the library's own features.
 */

import { env } from "node:process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  type CloseHandlerResult,
  type ErrorHandler,
  type ErrorHandlerResult,
  type LanguageClientOptions,
} from "vscode-languageclient/node";
import {
  CLEAR_HISTORY,
  HISTORY,
  MODELS,
  NOT_OFFERED,
  RECENT,
  RESET_SESSION,
  SESSION_ENERGY,
  SNOOZE,
  STATUS,
  type HistoryParams,
  type HistoryResult,
  type ModelsResult,
  type RecentResult,
  type SessionEnergy,
  type Status,
} from "./protocol";
import type { ServerCommand } from "./server";
import { SECTION } from "./settings";
import { FILE_OFF } from "./statusText";

const HINT_MS = 8_000;

/** How a server ended: it is started again, it did so too often, or it never answered. */
export type Ending = "restarts" | "crashed" | "failed";

/** What a connection is made with. */
export interface ConnectionParts {
  readonly command: ServerCommand;
  /** What the process gets to see beside the editor's own environment. */
  readonly environment: Record<string, string>;
  readonly logger: vscode.LogOutputChannel;
  /** Whether completions are off for one file. */
  readonly isFileOff: (uri: vscode.Uri) => boolean;
  readonly onRunning: () => void;
  readonly onStatus: (status: Status) => void;
  /** The server has answered a request for suggestions in a document: what it said before of a place was of this one. */
  readonly onAnswered: (uri: vscode.Uri) => void;
  readonly onEnergy: (energy: SessionEnergy) => void;
  readonly onEnded: (ending: Ending) => void;
}

/** Says nothing any more once it is disposed. */
export class Connection {
  readonly #client: LanguageClient;
  readonly #parts: ConnectionParts;
  #isDisposed = false;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    const { command, environment } = parts;
    // The client asks its handler only once it runs, and then `defaults` is there.
    const errorHandler: ErrorHandler = {
      error: (error) => this.#onError(error),
      closed: () => this.#onClosed(defaults),
    };
    this.#client = new QuietLanguageClient(
      SECTION,
      "Green Code",
      {
        command: command.command,
        args: [...command.args],
        options: { cwd: command.cwd, env: { ...env, ...environment } },
      },
      clientOptions(parts, errorHandler, (uri) => {
        if (!this.#isDisposed) parts.onAnswered(uri);
      }),
    );
    // Restarts a server that crashed four times at most in three minutes.
    const defaults: ErrorHandler = this.#client.createDefaultErrorHandler();
    this.#client.onDidChangeState(({ newState }) => {
      if (this.#isDisposed) return;
      if (newState === State.Running) parts.onRunning();
      if (newState === State.StartFailed) parts.onEnded("failed");
    });
    this.#client.onNotification(STATUS, (status) => {
      if (!this.#isDisposed) parts.onStatus(status);
    });
    this.#client.onNotification(SESSION_ENERGY, (energy) => {
      if (!this.#isDisposed) parts.onEnergy(energy);
    });
    this.#client.onNotification(NOT_OFFERED, ({ message }) => {
      hint(message);
    });
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  get isRunning(): boolean {
    return this.#client.state === State.Running;
  }

  /** Throws where the server cannot be started. */
  start(): Promise<void> {
    return this.#client.start();
  }

  /** Ends the server; where it does not run yet this throws, and `start` throws as soon as its process is gone. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    await this.#client.dispose();
  }

  resetSession(): Promise<SessionEnergy> {
    return this.#client.sendRequest(RESET_SESSION);
  }

  async snooze(minutes: number): Promise<void> {
    await this.#client.sendRequest(SNOOZE, { minutes });
  }

  history(params: HistoryParams): Promise<HistoryResult> {
    return this.#client.sendRequest(HISTORY, params);
  }

  async clearHistory(): Promise<void> {
    await this.#client.sendRequest(CLEAR_HISTORY);
  }

  models(): Promise<ModelsResult> {
    return this.#client.sendRequest(MODELS);
  }

  recent(): Promise<RecentResult> {
    return this.#client.sendRequest(RECENT);
  }

  /** The library's own answer is to stop for good, of which nobody is told: here the process ends, and `#onClosed` decides. */
  #onError(error: Error): ErrorHandlerResult {
    const isOfThePipe = "code" in error; // broken: its process is ending already
    if (!isOfThePipe) this.#client.serverProcess?.kill(); // behind words that are no message none is found any more
    return { action: ErrorAction.Continue, handled: true };
  }

  async #onClosed(defaults: ErrorHandler): Promise<CloseHandlerResult> {
    // A server that never answered would only fail again.
    if (this.#isDisposed || !this.isRunning)
      return { action: CloseAction.DoNotRestart, handled: true };
    const result = await defaults.closed();
    this.#parts.onEnded(result.action === CloseAction.Restart ? "restarts" : "crashed");
    return { ...result, handled: true };
  }
}

/** The library opens a notification for each failed start; here the log and the snapshot tell it. */
class QuietLanguageClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

function clientOptions(
  { logger, isFileOff }: ConnectionParts,
  errorHandler: ErrorHandler,
  onAnswered: (uri: vscode.Uri) => void,
): LanguageClientOptions {
  return {
    documentSelector: [
      { scheme: "file" },
      { scheme: "untitled" },
      { scheme: "vscode-notebook-cell" },
    ],
    outputChannel: logger,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationFailedHandler: () => false,
    errorHandler,
    middleware: {
      // Here, so that the server is not even asked.
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        if (isFileOff(document.uri)) {
          if (context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke) hint(FILE_OFF);
          return undefined;
        }
        const answer = await next(document, position, context, token);
        if (!token.isCancellationRequested) onAnswered(document.uri); // else it may not have looked
        return answer;
      },
    },
    stdioOptions: { stdout: logLines, stderr: logLines },
  };
}

/** A hint that goes by itself: whoever asked by hand is in the middle of a line. */
function hint(message: string): void {
  vscode.window.setStatusBarMessage(`$(info) ${message}`, HINT_MS);
}

/** The server logs to stderr with levels of its own; here each line is only passed on. */
function logLines(input: Readable, logger: vscode.LogOutputChannel): void {
  createInterface({ input, crlfDelay: Infinity }).on("line", (line) => {
    logger.info(line);
  });
}
