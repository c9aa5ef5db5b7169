import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pid } from "node:process";
import { afterEach, beforeEach, test } from "node:test";
import { tryLock, untilFree } from "../../../src/setup/lock";

let root: string;
let file: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "green-code-"));
  file = join(root, "install.lock");
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

test("one has the lock, and the next when it is given back", async () => {
  const unlock = await tryLock(file);
  assert.ok(unlock);
  assert.equal(await tryLock(file), undefined);

  await unlock();

  const again = await tryLock(file);
  assert.ok(again);
  await again();
});

test("a lock whose process is gone counts for nothing", async () => {
  writeFileSync(file, "999999999");

  const unlock = await tryLock(file);

  assert.ok(unlock);
  await unlock();
});

test("a lock that was not touched for long counts for nothing, whoever has that number now", async () => {
  writeFileSync(file, String(pid));
  assert.equal(await tryLock(file), undefined);
  const longAgo = new Date(Date.now() - 3_600_000);
  utimesSync(file, longAgo, longAgo);

  const unlock = await tryLock(file);

  assert.ok(unlock);
  await unlock();
});

test("whoever waits may give up", async () => {
  const unlock = await tryLock(file);
  const abort = new AbortController();
  const waiting = untilFree(file, abort.signal);
  abort.abort();

  await assert.rejects(waiting, { name: "AbortError" });
  await unlock?.();
});
