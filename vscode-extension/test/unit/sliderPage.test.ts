import assert from "node:assert/strict";
import { test } from "node:test";
import { pointAt } from "../../src/greenMode";
import type { SessionEnergy } from "../../src/protocol";
import { sliderPage } from "../../src/sliderPage";
import type { Snapshot } from "../../src/snapshot";

const ENERGY = {
  energyJ: 12.44,
  provenance: "modelled",
  baselineEnergyJ: 16,
  savedJ: 4,
  savedLowJ: 0.8,
  savedHighJ: 12,
  wastedJ: 5,
  prefillJ: 4,
  decodeJ: 3,
  policyJ: 0.44,
  verificationJ: 5,
  projectsJ: null,
  requests: 12,
  cancelled: 2,
  reused: 7,
  skipped: 3,
  acceptedChars: 60,
  meanExitLayer: 24.25,
  layersTotal: 30,
} as SessionEnergy;

const RUNNING: Snapshot = {
  server: { phase: "running", message: "" },
  installing: "",
  answeredFor: "",
  status: null,
  energy: ENERGY,
};

test("a position lies on the curve at what was measured, and between it on a line", () => {
  assert.deepEqual(pointAt(0), { greenMode: 0, energyPercent: 49, keptPercent: 100 });
  assert.deepEqual(pointAt(80), { greenMode: 80, energyPercent: 8, keptPercent: 81 });
  assert.deepEqual(pointAt(90), { greenMode: 90, energyPercent: 6, keptPercent: 75.5 });
  assert.deepEqual(pointAt(100), { greenMode: 100, energyPercent: 4, keptPercent: 70 });
});

test("the greener, the less energy and the less text", () => {
  const { points } = sliderPage(RUNNING, 20);

  for (const [index, point] of points.slice(1).entries()) {
    const before = points[index];
    assert.ok(before && point.energyPercent <= before.energyPercent);
    assert.ok(point.keptPercent <= before.keptPercent);
  }
});

test("the session stands beside the curve, in percent of full depth", () => {
  assert.equal(sliderPage(RUNNING, 20).sessionPercent, 75);
  assert.equal(sliderPage({ ...RUNNING, energy: null }, 20).sessionPercent, null);
});

test("what was saved stands beside between which joules that may be", () => {
  const saved = (change: Partial<SessionEnergy>): unknown =>
    sliderPage({ ...RUNNING, energy: { ...ENERGY, ...change } }, 20).session[1];
  const label = "Saved against full depth with KV cache, modelled";

  assert.deepEqual(saved({}), [label, "4.00 J (0.8 to 12 J), 25 %"]);
  assert.deepEqual(saved({ savedLowJ: null, savedHighJ: null }), [label, "4.00 J, 25 %"]);
});

test("the phases have words that people know", () => {
  const labels = sliderPage(RUNNING, 20).details.map(([label]) => label);

  assert.ok(labels.includes("For checking drafts"));
  assert.doesNotMatch(labels.join(), /verification|prefill|decode/);
});

test("what reading the workspace took stands at the end, beside the requests", () => {
  const last = (projectsJ: number | null): unknown =>
    sliderPage({ ...RUNNING, energy: { ...ENERGY, projectsJ } }, 20).session.at(-1);

  assert.deepEqual(last(48.2), ["Beside that, to read the workspace", "48.2 J"]);
  assert.notDeepEqual(last(null), last(48.2));
});

test("before the first request nothing stands there but a sentence and what the server will decode with", () => {
  const page = sliderPage({ ...RUNNING, energy: { ...ENERGY, requests: 0, greenMode: 80 } }, 20);

  assert.deepEqual([page.session, page.exitLayer], [[], ""]);
  assert.deepEqual(page.details, [["Green mode in use", "80"]]);
});

test("another model is told not to be the one that was measured", () => {
  const status = { model: "Qwen/Qwen2.5-Coder-0.5B", message: "", power: "" } as Snapshot["status"];

  assert.match(sliderPage({ ...RUNNING, status }, 20).curveNote, /0\.5B was not measured\./);
  assert.doesNotMatch(sliderPage(RUNNING, 20).curveNote, /not measured/);
});

test("what is told of one place is not told here, because it comes and goes with each key", () => {
  const told = (silence: string): string => {
    const status = {
      model: null,
      message: "A sentence.",
      power: "",
      silence,
    } as Snapshot["status"];
    return sliderPage({ ...RUNNING, status }, 20).notice;
  };

  assert.deepEqual([told("nothing"), told("skipped")], ["", ""]);
  assert.equal(told("snoozed"), "A sentence.");
});

test("a machine without a server is offered one", () => {
  const server = { phase: "missing", message: "No server." } as const;

  assert.equal(sliderPage({ ...RUNNING, server }, 20).isMissing, true);
  assert.equal(sliderPage({ ...RUNNING, server, installing: "step 1" }, 20).isMissing, false);
});
