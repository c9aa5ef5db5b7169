import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionEnergy, Status } from "../../src/protocol";
import type { Snapshot } from "../../src/snapshot";
import { renderStatus } from "../../src/statusText";

const STATUS: Status = {
  health: "ok",
  quiescent: true,
  message: "",
  silence: "none",
  power: "",
  model: "smollm2-135m",
  device: "CPU, 2 threads",
  meter: "modelled: shipped default by weight bytes",
  meterNotes: ["RAPL: /sys/class/powercap is not there."],
};

const ENERGY: SessionEnergy = {
  sessionId: "s",
  startedAt: "2026-01-01T00:00:00Z",
  energyJ: 12.44,
  provenance: "modelled",
  source: "shipped default by weight bytes",
  baselineEnergyJ: 16,
  savedJ: 3.56,
  wastedJ: 5,
  prefillJ: 4,
  decodeJ: 8,
  policyJ: 0.44,
  verificationJ: null,
  requests: 12,
  offered: 10,
  accepted: 3,
  cancelled: 2,
  reused: 7,
  skipped: 3,
  offeredChars: 200,
  acceptedChars: 60,
  tokens: 80,
  meanExitLayer: 24.25,
  layersTotal: 30,
  lastMeanExitLayer: 21,
  lastEnergyJ: 1.5,
  lastElapsedS: 0.84,
  greenMode: 50,
};

const RUNNING: Snapshot = {
  server: { phase: "running", message: "" },
  installing: "",
  status: STATUS,
  energy: ENERGY,
};

const ON = { enable: true };

test("the session's energy is the text of the item", () => {
  assert.equal(renderStatus(RUNNING, ON).text, "$(zap) 12.4 J");
});

test("energy that is not known is a dash", () => {
  const snapshot = { ...RUNNING, energy: { ...ENERGY, energyJ: null } };

  assert.equal(renderStatus(snapshot, ON).text, "$(zap) –");
});

test("the energy stands beside how it was had", () => {
  const { tooltip } = renderStatus(RUNNING, ON);

  assert.match(
    tooltip,
    /Session energy \| 12\.4 J \(3\.46 mWh\), modelled: shipped default by weight bytes/,
  );
});

test("what was saved names its baseline and that it is modelled", () => {
  const { tooltip } = renderStatus(RUNNING, ON);

  assert.match(tooltip, /Saved \| 3\.56 J \(22 %\) against full depth with KV cache, modelled/);
});

test("what was offered and kept is counted, and since when", () => {
  const { tooltip } = renderStatus(RUNNING, ON);

  assert.match(tooltip, /Since \| .*\d\d:00/);
  assert.match(tooltip, /Completions \| 10 offered, 3 accepted/);
  assert.match(tooltip, /Characters \| 200 offered, 60 accepted/);
});

test("the mean exit layer is shown for the session and for the newest completion", () => {
  const { tooltip } = renderStatus(RUNNING, ON);

  assert.match(tooltip, /Mean exit layer \| 24\.3 of 30 layers/);
  assert.match(tooltip, /Newest completion \| 1\.50 J, 0\.8 s, mean exit layer 21\.0 of 30 layers/);
});

test("the reasons why better meters were refused are listed", () => {
  const { tooltip } = renderStatus(RUNNING, ON);

  assert.match(tooltip, /Why not a better meter:\n\n- RAPL: \/sys\/class\/powercap is not there/);
});

test("the server's words are not read as markup", () => {
  const status = { ...STATUS, message: "[click](command:evil) | <b>now</b>" };

  const { tooltip } = renderStatus({ ...RUNNING, status }, ON);

  assert.ok(tooltip.includes("\\[click\\](command:evil) \\| \\<b\\>now\\</b\\>"));
});

test("work under way shows as a spinner", () => {
  const status = { ...STATUS, quiescent: false };

  assert.equal(renderStatus({ ...RUNNING, status }, ON).text, "$(loading~spin) 12.4 J");
});

test("before the server said anything it is loading", () => {
  const snapshot: Snapshot = {
    server: { phase: "starting", message: "" },
    installing: "",
    status: null,
    energy: null,
  };

  assert.equal(renderStatus(snapshot, ON).text, "$(loading~spin) Green Code");
});

test("a warning of the server colours the item and is told", () => {
  const status: Status = { ...STATUS, health: "warning", message: "The ledger is read-only." };

  const text = renderStatus({ ...RUNNING, status }, ON);

  assert.equal(text.severity, "warning");
  assert.match(text.accessibilityLabel, /The ledger is read-only\./);
});

test("an error of the server colours the item and is told", () => {
  const status: Status = { ...STATUS, health: "error", message: "The model is not there." };

  const text = renderStatus({ ...RUNNING, status }, ON);

  assert.equal(text.text, "$(error) 12.4 J");
  assert.equal(text.severity, "error");
  assert.match(text.tooltip, /The model is not there\./);
});

test("a machine without a server says so in one sentence", () => {
  const snapshot: Snapshot = {
    server: { phase: "missing", message: "No server was found." },
    installing: "",
    status: null,
    energy: null,
  };

  const text = renderStatus(snapshot, ON);

  assert.equal(text.text, "$(cloud-download) Green Code");
  assert.equal(text.severity, "none");
  assert.equal(text.accessibilityLabel, "Green Code: to be installed. No server was found.");
});

test("disabled completions are no error", () => {
  const text = renderStatus(RUNNING, { enable: false });

  assert.equal(text.text, "$(circle-slash) 12.4 J");
  assert.equal(text.severity, "none");
});
