import assert from "node:assert/strict";
import { test } from "node:test";
import { TaskQueue } from "../../src/taskQueue";

test("a task begins when the one before it has ended", async () => {
  const queue = new TaskQueue();
  const events: string[] = [];
  let end: (() => void) | undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));

  const slow = queue.run(async () => {
    events.push("slow begins");
    await ended;
    events.push("slow ends");
  });
  const fast = queue.run(() => {
    events.push("fast");
    return Promise.resolve();
  });
  end?.();
  await Promise.all([slow, fast]);

  assert.deepEqual(events, ["slow begins", "slow ends", "fast"]);
});

test("a task that fails is told to who asked for it, and the next one runs", async () => {
  const queue = new TaskQueue();

  const failing = queue.run(() => Promise.reject(new Error("no server")));
  const next = queue.run(() => Promise.resolve("started"));

  await assert.rejects(failing, /no server/);
  assert.equal(await next, "started");
});
