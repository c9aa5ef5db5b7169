import assert from "node:assert/strict";
import { test } from "node:test";
import { COLUMNS, historyPage, PHASES, toCsv, toJson } from "../../src/history";
import type { HistoryResult, PeriodEnergy } from "../../src/protocol";

const DAY: PeriodEnergy = {
  key: "2026-11-28",
  energyJ: 240,
  provenance: "modelled",
  prefillJ: 40,
  decodeJ: 30,
  policyJ: 5,
  verificationJ: 165,
  wastedJ: 180,
  baselineEnergyJ: 600,
  savedJ: 360,
  savedLowJ: 72,
  savedHighJ: 1080,
  requests: 410,
  cancelled: 20,
  reused: 900,
  accepted: 31,
  offeredChars: 4000,
  acceptedChars: 640,
};

const RESULT: HistoryResult = {
  periods: [DAY],
  total: { ...DAY, key: "" },
  carbonGPerKwh: null,
  carbonSource: null,
  restS: 0,
  restW: null,
  restOfModelW: null,
  projectsJ: null,
  projects: [],
};

test("the sum says what was spent, saved, kept and wasted, and how that is known", () => {
  assert.deepEqual(historyPage("day", RESULT).summary, [
    "Spent 240 J (66.7 mWh), modelled.",
    "Saved 360 J (0.072 to 1.1 kJ), 60 %, against full depth with KV cache, modelled.",
    "Kept 640 characters, 375 mJ each.",
    "180 J went into suggestions that were not kept.",
  ]);
});

test("carbon stands beside its source, and is not there where no country was named", () => {
  const carbon = { carbonGPerKwh: 56, carbonSource: "mean of France in 2023" };
  const told = historyPage("day", { ...RESULT, ...carbon }).summary.at(-1);

  assert.equal(told, "3.7 mg of CO2 equivalents: 56 g per kWh, mean of France in 2023.");
  assert.doesNotMatch(historyPage("day", RESULT).summary.join(), /CO2/);
});

test("what it took to read the workspace stands beside the requests, and in the exports by period", () => {
  const reading = { projectsJ: 22.8, projects: [{ key: DAY.key, energyJ: 22.8 }] };
  const said = "Beside that 22.8 J to read the workspace, modelled.";

  assert.equal(historyPage("day", { ...RESULT, ...reading }).summary.at(-1), said);
  assert.equal(historyPage("day", { ...RESULT, ...reading, total: null }).summary.at(-1), said);
  assert.deepEqual(
    toCsv({ ...RESULT, ...reading })
      .split("\n")
      .map((line) => line.split(",").at(-1)),
    ["projectsJ", "22.8", ""],
  );
  assert.equal(toCsv(RESULT).split("\n")[1]?.split(",").at(-1), "");
  assert.match(toJson("day", { ...RESULT, ...reading }), /"projectsJ": 22.8/);
});

test("what a model takes that only waits is told by the hour, as far as it was measured", () => {
  const rest = { restS: 5400, restW: 2, restOfModelW: 0.5 };
  const said = (part: object): string[] =>
    historyPage("day", { ...RESULT, ...part }).summary.slice(4);

  assert.deepEqual(said(rest), [
    "Beside that the loaded model rested for 90 min: all metered parts took 10.8 kJ, which is 7.20 kJ an hour, as calibrated.",
    "Without the model it would be 2.70 kJ less.",
  ]);
  assert.equal(said({ ...rest, restOfModelW: null }).length, 1);
  assert.match(said({ ...rest, restW: null }).join(), /`green-code calibrate` measures/);
  assert.deepEqual(said({ ...rest, restS: 20 }), []);
});

test("a bar is made of the phases, and a row has a cell for each column", () => {
  const [row] = historyPage("day", RESULT).rows;

  assert.ok(row);
  assert.deepEqual(row.phasesJ, [40, 30, 165, 5]);
  assert.equal(row.phasesJ.length, PHASES.length);
  assert.equal(row.cells.length, COLUMNS.length);
  assert.equal(row.cells[1], "360 J (0.072 to 1.1 kJ)");
});

test("who cannot see the chart is told its bars", () => {
  assert.equal(historyPage("day", RESULT).label, "Energy by day: 2026-11-28 240 J");
});

test("what is not known is no zero in the table", () => {
  const saved = { savedJ: null, savedLowJ: null, savedHighJ: null };
  const unknown = { ...DAY, ...saved, energyJ: null, wastedJ: null, acceptedChars: 0 };
  const [row] = historyPage("day", { ...RESULT, periods: [unknown] }).rows;

  assert.deepEqual(row?.cells.slice(0, 3), ["–", "–", "–"]);
});

test("nothing at all is one sentence", () => {
  const nothing = { ...RESULT, periods: [], total: null };

  assert.deepEqual(historyPage("day", nothing).summary, ["Nothing was computed in this time."]);
  assert.equal(toCsv(nothing), "");
});

test("CSV has a column for every figure, and keeps commas in their cell", () => {
  const [head, line] = toCsv({ ...RESULT, periods: [{ ...DAY, key: 'a,"b"' }] }).split("\n");

  assert.equal(head, [...Object.keys(DAY), "projectsJ"].join(","));
  assert.match(line ?? "", /^"a,""b""",240,modelled,/);
});

test("JSON says what it is by, and what savings are measured against", () => {
  const told = JSON.parse(toJson("day", RESULT)) as Record<string, unknown>;

  assert.equal(told["by"], "day");
  assert.equal(told["baseline"], "full depth with KV cache");
});
