import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type * as vscode from "vscode";
import type { ServerClient } from "../../src/client";
import type { Snapshot } from "../../src/snapshot";
import { registerSliderView } from "../../src/sliderView";
import { configuration, EventEmitter, shown, trouble, Uri, views } from "./fakes/vscode";
import { Webview } from "./fakes/webview";

const SNAPSHOT: Snapshot = {
  server: { phase: "running", message: "" },
  installing: "",
  answeredFor: "",
  status: null,
  energy: null,
};

async function openSlider(): Promise<Webview> {
  const client = { snapshot: SNAPSHOT, onDidChange: new EventEmitter<Snapshot>().event };
  registerSliderView(
    client as unknown as ServerClient,
    Uri.file("/extension") as unknown as vscode.Uri,
  );
  const webview = new Webview();
  await views.at(-1)?.resolveWebviewView({ webview, onDidDispose: () => undefined });
  return webview;
}

function positions({ posted }: Webview): unknown[] {
  return posted.map((page) => (page as { greenMode: number }).greenMode);
}

beforeEach(() => {
  configuration.clear();
  configuration.set("greenMode", { defaultValue: 20 });
  trouble.writing = "";
  shown.errors.length = 0;
});

test("the slider writes the setting", async () => {
  const slider = await openSlider();

  await slider.say({ greenMode: 80 });

  assert.equal(configuration.get("greenMode")?.globalValue, 80);
  assert.deepEqual(shown.errors, []);
});

test("settings that cannot be written are told, and the slider goes back to what holds", async () => {
  trouble.writing = "Unable to write into user settings: save the file first.";
  const slider = await openSlider();

  await slider.say({ greenMode: 80 });

  assert.deepEqual(shown.errors, [`Green Code: ${trouble.writing}`]);
  assert.deepEqual(positions(slider), [20]);
});
