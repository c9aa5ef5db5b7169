import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type * as vscode from "vscode";
import type { ServerClient } from "../../src/client";
import { FileSwitches } from "../../src/fileSwitches";
import type { Silence, Status } from "../../src/protocol";
import type { Snapshot } from "../../src/snapshot";
import { createStatusBar } from "../../src/statusBar";
import { configuration, EventEmitter, Memory, open, statusItem } from "./fakes/vscode";

const PRIVATE = "$(lock) Green Code: private file";
const READY = "$(green-code-leaf) Green Code";
const [A, B, C] = ["file:///project/.env", "file:///project/b.py", "file:///project/c.py"];

const SILENT: Snapshot = {
  server: { phase: "running", message: "" },
  installing: "",
  status: null,
  answeredFor: "",
  energy: null,
};

const changed = new EventEmitter<Snapshot>();
const client = { onDidChange: changed.event, snapshot: SILENT };

createStatusBar(
  client as unknown as ServerClient,
  new FileSwitches(new Memory() as unknown as vscode.Memento),
);

beforeEach(() => {
  configuration.clear();
  client.snapshot = SILENT;
});

function change(part: Partial<Snapshot>): void {
  client.snapshot = { ...client.snapshot, ...part };
  changed.fire(client.snapshot);
}

/** The server says what differs from what it said before. */
function say(silence: Silence, model = "m"): void {
  const status = { health: "ok", quiescent: true, silence, message: "", remedy: "none", model };
  change({ status: { ...status, remote: null, device: null, meter: null, power: "" } as Status });
}

function answer(answeredFor: string): void {
  change({ answeredFor });
}

test("a private file is one still after a look at another", () => {
  open(A);
  say("private");
  answer(A);
  assert.equal(statusItem.text, PRIVATE);

  open(B);
  assert.equal(statusItem.text, READY);

  open(A);
  answer(A); // and no status, for it is the same
  assert.equal(statusItem.text, PRIVATE);
});

test("a second private file is told as soon as its answer came, though the status is the same", () => {
  open(A);
  say("private");
  answer(A);

  open(B);
  answer(B);

  assert.equal(statusItem.text, PRIVATE);
});

test("news that carry the silence of the file before are no news of this one", () => {
  open(A);
  say("private");
  answer(A);
  open(C);

  say("private", "another model");

  assert.equal(statusItem.text, READY);
});
