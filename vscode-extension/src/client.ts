/**
 * The server: starts it, restarts it, and tells what it last said. The connection to it is connection.ts.
 *
 * Knows nothing of how anything is shown, but for one rule: it never opens a notification, it only changes its snapshot.
 */

import { isDeepStrictEqual } from "node:util";
import * as vscode from "vscode";
import type { Connection, Ending } from "./connection";
import type { HistoryParams, HistoryResult, ModelsResult, RecentResult } from "./protocol";
import type { ServerCommand } from "./server";
import type { ServerProcess, Snapshot } from "./snapshot";
import { TaskQueue } from "./taskQueue";
import { t } from "./words";

const STARTING: ServerProcess = { phase: "starting", message: "" };
const MISSING: ServerProcess = {
  phase: "missing",
  message: t("The server is not installed yet: install it, or set greenCode.interpreter."),
};
const CANNOT_START: ServerProcess = {
  phase: "stopped",
  message: t("The server could not be started; the log says why."),
};
const ENDED: Record<Ending, ServerProcess> = {
  restarts: {
    phase: "starting",
    message: t("The server stopped unexpectedly and was started again; the session counts anew."),
  },
  crashed: {
    phase: "stopped",
    message: t(
      "The server stopped too often and stays off until Restart Server; the log says why.",
    ),
  },
  failed: CANNOT_START,
};

/** Of a server that has said nothing yet, or is gone. */
const NOTHING_SAID = { status: null, answeredFor: "", energy: null };

/** What the client is made with. */
export interface ClientParts {
  readonly logger: vscode.LogOutputChannel;
  /** Which server to start. */
  readonly resolve: () => Promise<ServerCommand | undefined>;
  /** What a server's process gets to see beside the editor's own environment. */
  readonly environment: () => Promise<Record<string, string>>;
  /** Whether completions are off for one file. */
  readonly isFileOff: (uri: vscode.Uri) => boolean;
}

/** Owns at most one server process; asks `resolve` which one each time it starts. */
export class ServerClient implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<Snapshot>();
  readonly #parts: ClientParts;
  #snapshot: Snapshot = { server: STARTING, installing: "", ...NOTHING_SAID };
  #connection: Connection | undefined;
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
    void this.#abandon();
    return this.#queue.run(async () => {
      await this.#stop();
      await this.#start();
    });
  }

  /** Restarts only where the settings now name another server. */
  async restartIfChanged(): Promise<void> {
    if (!isDeepStrictEqual(await this.#parts.resolve(), this.#command)) await this.restart();
  }

  /** Begins a new session in the ledger; false where no server answers. */
  async resetSession(): Promise<boolean> {
    const energy = await this.#running?.resetSession();
    if (energy !== undefined) this.#update({ energy });
    return energy !== undefined;
  }

  /** Offers nothing for so many minutes, unless asked by hand; 0 ends it. False where no server answers. */
  async snooze(minutes: number): Promise<boolean> {
    const connection = this.#running;
    await connection?.snooze(minutes);
    return connection !== undefined;
  }

  /** What the energy ledger says; undefined where no server answers. */
  async history(params: HistoryParams): Promise<HistoryResult | undefined> {
    return this.#running?.history(params);
  }

  /** Deletes all that the energy ledger holds; false where no server answers. */
  async clearHistory(): Promise<boolean> {
    const connection = this.#running;
    await connection?.clearHistory();
    return connection !== undefined;
  }

  /** The models that this machine may run, rated in two seconds; undefined where no server answers. */
  async models(): Promise<ModelsResult | undefined> {
    return this.#running?.models();
  }

  /** What became of the newest requests; undefined where no server answers. */
  async recent(): Promise<RecentResult | undefined> {
    return this.#running?.recent();
  }

  /** Shows what an installation is doing; "" when it has ended. */
  showInstallation(message: string): void {
    this.#update({ installing: message });
  }

  /** Stops the server, after whatever is under way. */
  async stop(): Promise<void> {
    void this.#abandon();
    await this.#queue.run(() => this.#stop());
  }

  dispose(): void {
    this.#changed.dispose();
  }

  get #running(): Connection | undefined {
    return this.#connection?.isRunning === true ? this.#connection : undefined;
  }

  async #start(): Promise<void> {
    const { logger, resolve, environment, isFileOff } = this.#parts;
    const command = await resolve();
    this.#command = command;
    this.#update({
      server: command === undefined ? MISSING : STARTING,
      ...NOTHING_SAID,
    });
    if (command === undefined) return;
    let connection: Connection | undefined;
    logger.info(`Starting ${[command.command, ...command.args].join(" ")}`);
    try {
      // Not before now: the library takes longer to load than all the rest.
      const { Connection } = await import("./connection");
      connection = new Connection({
        command,
        environment: await environment(),
        logger,
        isFileOff,
        onRunning: () => {
          this.#update({ server: { ...this.#snapshot.server, phase: "running" } });
        },
        onStatus: (status) => {
          const isNews = status.remedy !== this.#snapshot.status?.remedy;
          this.#update({ status });
          if (isNews && status.remedy === "restart") void this.restart();
        },
        onAnswered: (uri) => {
          const answeredFor = uri.toString();
          if (answeredFor !== this.#snapshot.answeredFor) this.#update({ answeredFor });
        },
        onEnergy: (energy) => {
          this.#update({ energy });
        },
        onEnded: (ending) => {
          this.#update({ server: ENDED[ending], ...NOTHING_SAID });
        },
      });
      this.#connection = connection;
      await connection.start();
    } catch (error) {
      if (connection?.isDisposed === true) return; // abandoned, which is no failure
      logger.error(String(error));
      this.#update({ server: CANNOT_START });
    }
  }

  /** Ends a server that does not run yet: one that never answers would hold up the queue for ever. */
  async #abandon(): Promise<void> {
    if (this.#connection?.isRunning === false) await this.#end(this.#connection);
  }

  async #stop(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await this.#end(connection);
  }

  async #end(connection: Connection | undefined): Promise<void> {
    try {
      await connection?.dispose();
    } catch (error) {
      this.#parts.logger.debug(String(error)); // it had died, or never started
    }
  }

  #update(change: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    this.#changed.fire(this.#snapshot);
  }
}
