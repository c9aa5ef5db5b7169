/**
 * The server process and the connection to it: starts, restarts, and tells what it last said.
 *
 * Inline completion and the settings' way to the server are the language client's own features. Knows nothing of how
 * anything is shown, but for one rule: it never opens a notification, it only changes its snapshot.
 */

import { env } from "node:process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import * as vscode from "vscode";
import {
  CloseAction,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  type CloseHandlerResult,
  type ErrorHandler,
  type LanguageClientOptions,
} from "vscode-languageclient/node";
import {
  CLEAR_HISTORY,
  HISTORY,
  MODELS,
  RESET_SESSION,
  NOT_OFFERED,
  SESSION_ENERGY,
  SNOOZE,
  STATUS,
  type HistoryParams,
  type HistoryResult,
  type ModelsResult,
} from "./protocol";
import type { ServerCommand } from "./server";
import { SECTION } from "./settings";
import type { ServerProcess, Snapshot } from "./snapshot";
import { FILE_OFF } from "./statusText";
import { TaskQueue } from "./taskQueue";

const HINT_MS = 8_000;
const STARTING: ServerProcess = { phase: "starting", message: "" };
const MISSING: ServerProcess = {
  phase: "missing",
  message: "The server is not installed yet: install it, or set greenCode.interpreter.",
};
const CANNOT_START: ServerProcess = {
  phase: "stopped",
  message: "The server could not be started; the log says why.",
};
const CRASHED: ServerProcess = {
  phase: "starting",
  message: "The server stopped unexpectedly and was started again; the session counts anew.",
};
const CRASHED_FOR_GOOD: ServerProcess = {
  phase: "stopped",
  message: "The server stopped too often and stays off until Restart Server; the log says why.",
};

/** What the client is made with. */
export interface ClientParts {
  readonly logger: vscode.LogOutputChannel;
  /** Which server to start. */
  readonly resolve: () => ServerCommand | undefined;
  /** What a server's process gets to see beside the editor's own environment. */
  readonly environment: () => Promise<Record<string, string>>;
  /** Whether completions are off for one file. */
  readonly isFileOff: (uri: vscode.Uri) => boolean;
}

/** Owns at most one server process; asks `resolve` which one each time it starts. */
export class ServerClient implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<Snapshot>();
  readonly #parts: ClientParts;
  #snapshot: Snapshot = { server: STARTING, installing: "", status: null, energy: null };
  #client: LanguageClient | undefined;
  #command: ServerCommand | undefined;
  readonly #queue = new TaskQueue();

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** Fires with each new snapshot. */
  get onDidChange(): vscode.Event<Snapshot> {
    return this.#changed.event;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Stops the server, if one runs, and starts it from the settings in force; calls are queued. */
  restart(): Promise<void> {
    return this.#queue.run(async () => {
      await this.#stop();
      await this.#start();
    });
  }

  /** Restarts only where the settings now name another server. */
  async restartIfChanged(): Promise<void> {
    if (!isDeepStrictEqual(this.#parts.resolve(), this.#command)) await this.restart();
  }

  /** Begins a new session in the ledger; false where no server answers. */
  async resetSession(): Promise<boolean> {
    if (this.#client?.state !== State.Running) return false;
    this.#update({ energy: await this.#client.sendRequest(RESET_SESSION) });
    return true;
  }

  /** Offers nothing for so many minutes, unless asked by hand; 0 ends it. False where no server answers. */
  async snooze(minutes: number): Promise<boolean> {
    if (this.#client?.state !== State.Running) return false;
    await this.#client.sendRequest(SNOOZE, { minutes });
    return true;
  }

  /** What the energy ledger says; undefined where no server answers. */
  async history(params: HistoryParams): Promise<HistoryResult | undefined> {
    if (this.#client?.state !== State.Running) return undefined;
    return this.#client.sendRequest(HISTORY, params);
  }

  /** Deletes all that the energy ledger holds; false where no server answers. */
  async clearHistory(): Promise<boolean> {
    if (this.#client?.state !== State.Running) return false;
    await this.#client.sendRequest(CLEAR_HISTORY);
    return true;
  }

  /** The models that this machine may run, rated in two seconds; undefined where no server answers. */
  async models(): Promise<ModelsResult | undefined> {
    if (this.#client?.state !== State.Running) return undefined;
    return this.#client.sendRequest(MODELS);
  }

  /** Shows what an installation is doing; "" when it has ended. */
  showInstallation(message: string): void {
    this.#update({ installing: message });
  }

  /** Stops the server, after whatever is under way. */
  async stop(): Promise<void> {
    await this.#queue.run(() => this.#stop());
  }

  dispose(): void {
    this.#changed.dispose();
  }

  async #start(): Promise<void> {
    this.#command = this.#parts.resolve();
    this.#update({
      server: this.#command === undefined ? MISSING : STARTING,
      status: null,
      energy: null,
    });
    if (this.#command === undefined) return;
    this.#parts.logger.info(`Starting ${[this.#command.command, ...this.#command.args].join(" ")}`);
    try {
      this.#client = this.#connect(this.#command, await this.#parts.environment());
      await this.#client.start();
    } catch (error) {
      this.#parts.logger.error(String(error));
      this.#update({ server: CANNOT_START });
    }
  }

  async #stop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    try {
      await client?.dispose();
    } catch (error) {
      this.#parts.logger.debug(String(error)); // it had died, or never started
    }
  }

  #connect(command: ServerCommand, environment: Record<string, string>): LanguageClient {
    // The client asks its handler only once it runs, and then `defaults` is there.
    const errorHandler: ErrorHandler = {
      error: async (error, message, count) => ({
        ...(await defaults.error(error, message, count)),
        handled: true,
      }),
      closed: () => this.#onClosed(client, defaults),
    };
    const client: LanguageClient = new QuietLanguageClient(
      SECTION,
      "Green Code",
      {
        command: command.command,
        args: [...command.args],
        options: { cwd: command.cwd, env: { ...env, ...environment } },
      },
      clientOptions(this.#parts, errorHandler),
    );
    // Restarts a server that crashed four times at most in three minutes.
    const defaults: ErrorHandler = client.createDefaultErrorHandler();
    client.onDidChangeState(({ newState }) => {
      if (newState !== State.Running || client !== this.#client) return;
      this.#update({ server: { ...this.#snapshot.server, phase: "running" } });
    });
    client.onNotification(STATUS, (status) => {
      this.#update({ status });
    });
    client.onNotification(NOT_OFFERED, ({ message }) => {
      hint(message);
    });
    client.onNotification(SESSION_ENERGY, (energy) => {
      this.#update({ energy });
    });
    return client;
  }

  async #onClosed(client: LanguageClient, defaults: ErrorHandler): Promise<CloseHandlerResult> {
    if (client !== this.#client) return { action: CloseAction.DoNotRestart, handled: true };
    // A server that never answered would only fail again.
    const result: CloseHandlerResult =
      client.state === State.Running
        ? await defaults.closed()
        : { action: CloseAction.DoNotRestart };
    const again = result.action === CloseAction.Restart;
    const server = client.state === State.Running ? CRASHED_FOR_GOOD : CANNOT_START;
    this.#update({ server: again ? CRASHED : server, status: null, energy: null });
    return { ...result, handled: true };
  }

  #update(change: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    this.#changed.fire(this.#snapshot);
  }
}

/** The library opens a notification for each failed start; here the log and the snapshot tell it. */
class QuietLanguageClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

function clientOptions(
  { logger, isFileOff }: ClientParts,
  errorHandler: ErrorHandler,
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
      provideInlineCompletionItems: (document, position, context, token, next) => {
        if (!isFileOff(document.uri)) return next(document, position, context, token);
        if (context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke) hint(FILE_OFF);
        return undefined;
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
