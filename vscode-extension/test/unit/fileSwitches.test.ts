import assert from "node:assert/strict";
import { test } from "node:test";
import type * as vscode from "vscode";
import { FileSwitches } from "../../src/fileSwitches";
import { Memory, rename } from "./fakes/vscode";

function at(path: string): vscode.Uri {
  return { path } as unknown as vscode.Uri;
}

function switches(memory = new Memory()): FileSwitches {
  return new FileSwitches(memory as unknown as vscode.Memento);
}

test("a file is on until it is switched off, and the workspace remembers it", () => {
  const memory = new Memory();
  const files = switches(memory);
  let changes = 0;
  files.onDidChange(() => (changes += 1));

  assert.equal(files.isOff(at("/p/a.py")), false);
  assert.equal(files.toggle(at("/p/a.py")), false);

  assert.equal(switches(memory).isOff(at("/p/a.py")), true);
  assert.equal(switches(memory).isOff(at("/p/b.py")), false);
  assert.equal(files.toggle(at("/p/a.py")), true);
  assert.equal(switches(memory).isOff(at("/p/a.py")), false);
  assert.equal(changes, 2);
});

test("a file stays off under another name, in another folder too", () => {
  const memory = new Memory();
  const files = switches(memory);
  for (const path of ["/p/src/a.py", "/p/src2/a.py"]) files.toggle(at(path));

  rename("/p/src", "/p/lib");
  rename("/p/lib/a.py", "/p/lib/b.py");

  const off = ["/p/lib/b.py", "/p/lib/a.py", "/p/src/a.py", "/p/src2/a.py"].map((path) =>
    switches(memory).isOff(at(path)),
  );
  assert.deepEqual(off, [true, false, false, true]);
});

test("an untitled file is off for now alone: another one will have its name", () => {
  const memory = new Memory();
  const files = switches(memory);
  files.toggle(at("Untitled-1"));

  assert.equal(files.isOff(at("Untitled-1")), true);
  assert.equal(switches(memory).isOff(at("Untitled-1")), false);
});
