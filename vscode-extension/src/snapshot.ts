/** What is known of the server just now: its process, and the newest messages it sent. */

import type { SessionEnergy, Status } from "./protocol";

/** Where the server's process is between not found and running. */
export type ServerPhase = "missing" | "starting" | "running" | "stopped";

/** The server's process; the sentence is for people, "" when there is nothing to say. */
export interface ServerProcess {
  readonly phase: ServerPhase;
  readonly message: string;
}

/** Everything the status bar and the slider view show. */
export interface Snapshot {
  readonly server: ServerProcess;
  /** What an installation of the server is doing; "" when none is under way. An older server may run meanwhile. */
  readonly installing: string;
  readonly status: Status | null;
  /** The URI of the document that the newest answer was for; "" before the first. `status` speaks of places in it. */
  readonly answeredFor: string;
  readonly energy: SessionEnergy | null;
}
