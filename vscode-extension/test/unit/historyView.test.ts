import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type * as vscode from "vscode";
import type { ServerClient } from "../../src/client";
import { historyOpener } from "../../src/historyView";
import type { HistoryResult } from "../../src/protocol";
import { panels, person, shown, trouble, Uri, written } from "./fakes/vscode";
import type { Webview } from "./fakes/webview";

const EMPTY = { periods: [] } as unknown as HistoryResult;
const NO_SERVER = "Green Code: no server is running.";

function openHistory(history: () => Promise<HistoryResult | undefined>): Webview {
  const client = { history, clearHistory: () => Promise.reject(new Error("The disk is full.")) };
  historyOpener(
    client as unknown as ServerClient,
    Uri.file("/extension") as unknown as vscode.Uri,
  )();
  const webview = panels.at(-1);
  assert.ok(webview);
  return webview;
}

beforeEach(() => {
  Object.assign(person, { presses: "", savesAs: "/project/history.json" });
  trouble.writing = "";
  written.clear();
  shown.saveDialogs = 0;
  for (const list of [shown.errors, shown.hints]) list.length = 0;
});

test("the history is saved where the person wants it", async () => {
  await openHistory(() => Promise.resolve(EMPTY)).say({ action: "json" });

  assert.deepEqual([...written.keys()], ["/project/history.json"]);
  assert.deepEqual(shown.hints, ["Green Code: saved /project/history.json."]);
});

test("a file that cannot be written is told", async () => {
  trouble.writing = "Unable to write file '/project/history.json'";

  await openHistory(() => Promise.resolve(EMPTY)).say({ action: "csv" });

  assert.deepEqual(shown.errors, [`Green Code: ${trouble.writing}`]);
  assert.deepEqual(shown.hints, []);
});

test("a server that refuses is told, before anybody is asked for a file", async () => {
  const history = openHistory(() => Promise.reject(new Error('No country "XYZ" is known.')));

  await history.say({ action: "json" });

  assert.deepEqual(shown.errors, ['Green Code: No country "XYZ" is known.']);
  assert.deepEqual(history.posted, [{ error: 'No country "XYZ" is known.' }]);
  assert.equal(shown.saveDialogs, 0);
});

test("without a server nobody is asked for a file", async () => {
  const history = openHistory(() => Promise.resolve(undefined));

  await history.say({ action: "json" });

  assert.deepEqual(shown.hints, [NO_SERVER]);
  assert.deepEqual(history.posted, [{ error: NO_SERVER }]);
  assert.equal(shown.saveDialogs, 0);
});

test("a history that cannot be erased is told", async () => {
  person.presses = "Erase";

  await openHistory(() => Promise.resolve(EMPTY)).say({ action: "clear" });

  assert.deepEqual(shown.errors, ["Green Code: The disk is full."]);
});
