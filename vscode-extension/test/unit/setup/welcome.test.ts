import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import package_ from "../../../package.json";
import type { ServerClient } from "../../../src/client";
import { HAS_SERVER, tickInstallation, wantsSecondServer } from "../../../src/setup/welcome";
import type { Snapshot } from "../../../src/snapshot";
import { EventEmitter, person, shown } from "../fakes/vscode";

beforeEach(() => {
  Object.assign(person, { presses: "", overlooks: false });
  shown.questions.length = 0;
  shown.commands.length = 0;
});

test("the walkthrough's first step is another for a server that runs, and for nothing less", () => {
  const changed = new EventEmitter<Snapshot>();
  tickInstallation({ onDidChange: changed.event } as unknown as ServerClient);
  const at = (phase: string): void => {
    changed.fire({ server: { phase, message: "" }, installing: "" } as Snapshot);
  };

  for (const phase of ["missing", "starting", "stopped"]) at(phase);
  assert.deepEqual(shown.commands, []);
  for (const phase of ["running", "running"]) at(phase);
  assert.deepEqual(shown.commands, [["setContext", HAS_SERVER, true]]);

  const [before, after] = package_.contributes.walkthroughs[0]?.steps ?? [];
  assert.deepEqual([before?.when, after?.when], [`!${HAS_SERVER}`, HAS_SERVER]);
  assert.equal(after?.completionEvents, undefined); // so that seeing it ticks it
});

test("who has a server of their own is told which, and nothing is fetched unless they insist", async () => {
  assert.equal(await wantsSecondServer("/home/ada/.venv/bin/python"), false);
  assert.match(shown.questions[0] ?? "", /\/home\/ada\/\.venv\/bin\/python is the server/);

  person.presses = "Install Server";
  assert.equal(await wantsSecondServer("/home/ada/.venv/bin/python"), true);
});

test("that question is answered even by who overlooks notifications, so that the command can be run again", async () => {
  person.overlooks = true;

  assert.equal(await wantsSecondServer("/home/ada/.venv/bin/python"), false);
});
