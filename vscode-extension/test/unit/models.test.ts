import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type * as vscode from "vscode";
import type { ServerClient } from "../../src/client";
import { COMMAND } from "../../src/commandIds";
import { chooseModel, itemsOf, offerModels } from "../../src/models";
import type { ModelChoice } from "../../src/protocol";
import type { Snapshot } from "../../src/snapshot";
import { configuration, EventEmitter, Memory, person, shown } from "./fakes/vscode";

const SMALL: ModelChoice = {
  name: "smollm2-135m",
  isAdvised: false,
  downloadBytes: 92_871_040,
  runningBytes: 300_000_000,
  tokenMs: 4.6,
  readsBothSides: false,
  lacksTorch: false,
  licence: "Apache-2.0",
  whyNot: "",
};
const ADVISED = {
  ...SMALL,
  name: "a/b",
  isAdvised: true,
  downloadBytes: 1.24e9,
  readsBothSides: true,
};
const LARGE = { ...SMALL, name: "c/d", whyNot: "a token would take 400 ms", lacksTorch: true };
const MODELS = [SMALL, ADVISED, LARGE];

function answering(models: readonly ModelChoice[] | undefined): ServerClient {
  const result = models === undefined ? undefined : { models };
  return { models: () => Promise.resolve(result) } as unknown as ServerClient;
}

beforeEach(() => {
  configuration.clear();
  Object.assign(person, { presses: "", picks: "" });
  for (const list of [shown.questions, shown.commands]) list.length = 0;
});

test("each model says what it takes, and what is advised stands first", () => {
  const items = itemsOf(MODELS, "smollm2-135m");

  assert.deepEqual(
    items.map(({ label, description, detail }) => [label, description, detail]),
    [
      ["Runs well", undefined, undefined],
      [
        "$(star-full) a/b",
        "advised, Apache-2.0",
        "about 5 ms a token, 1.2 GB to fetch, 300 MB of memory, reads both sides",
      ],
      [
        "smollm2-135m",
        "in use, Apache-2.0",
        "about 5 ms a token, 93 MB to fetch, 300 MB of memory, reads one side",
      ],
      ["Slow or too large here", undefined, undefined],
      [
        "c/d",
        "Apache-2.0",
        "a token would take 400 ms, 93 MB to fetch, 300 MB of memory, reads one side, needs PyTorch",
      ],
      ["Any other", undefined, undefined],
      ["Name another in the settings…", undefined, undefined],
    ],
  );
});

test("Enter alone keeps the model in use, known or not, and fetches nothing", async () => {
  for (const current of ["smollm2-135m", "/models/mine"]) {
    configuration.set("model", { globalValue: current });
    const inUse = itemsOf(MODELS, current).filter(({ model }) => model === current);
    assert.deepEqual(
      inUse.map(({ label }) => label),
      [current],
    );

    assert.equal(await chooseModel(answering(MODELS)), true);
    assert.deepEqual(configuration.get("model"), { globalValue: current });
  }
});

test("choosing writes the setting; another is named in the settings", async () => {
  person.picks = "a/b";
  assert.equal(await chooseModel(answering(MODELS)), true);
  assert.equal(configuration.get("model")?.globalValue, "a/b");

  person.picks = "settings…";
  await chooseModel(answering(MODELS));
  assert.deepEqual(shown.commands, [["workbench.action.openSettings", "@id:greenCode.model"]]);

  assert.equal(await chooseModel(answering(undefined)), false);
});

function offering(memory = new Memory()): EventEmitter<Snapshot> {
  const changed = new EventEmitter<Snapshot>();
  const client = { onDidChange: changed.event } as unknown as ServerClient;
  offerModels(client, memory as unknown as vscode.Memento);
  return changed;
}

function accepted(n: number, remote: string | null = null): Snapshot {
  return { energy: { accepted: n }, status: { remote } } as Snapshot;
}

test("models are offered once, after the first accepted suggestion", async () => {
  person.presses = "Choose a Model";
  const memory = new Memory();
  const changed = offering(memory);
  changed.fire(accepted(0));
  assert.deepEqual(shown.questions, []);

  changed.fire(accepted(1));
  changed.fire(accepted(2));
  offering(memory).fire(accepted(1));
  await new Promise(setImmediate);

  assert.equal(shown.questions.length, 1);
  assert.deepEqual(shown.commands, [[COMMAND.chooseModel]]);
});

test("who has chosen a model, or has it elsewhere, is offered none", () => {
  offering().fire(accepted(1, "gpu:8000"));
  configuration.set("model", { workspaceValue: "a/b" });
  offering().fire(accepted(1));

  assert.deepEqual(shown.questions, []);
});
