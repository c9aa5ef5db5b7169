import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatDuration,
  formatExitLayer,
  formatGrams,
  formatJoules,
  formatShare,
  formatWattHours,
  formatWithin,
} from "../../src/format";

const JOULES: readonly (readonly [energyJ: number, shown: string])[] = [
  [0, "0 J"],
  [12.44, "12.4 J"],
  [1.2, "1.20 J"],
  [0.85, "850 mJ"],
  [123.4, "123 J"],
  [999.96, "1.00 kJ"],
  [3071, "3.07 kJ"],
  [2.5e6, "2.50 MJ"],
  [0.00001234, "12.3 µJ"],
  [-12.44, "-12.4 J"],
];

for (const [energyJ, shown] of JOULES) {
  test(`${energyJ} J is shown as ${shown}`, () => {
    assert.equal(formatJoules(energyJ), shown);
  });
}

test("grams have two digits, however few they are", () => {
  assert.equal(formatGrams(0.000001234), "1.2 µg");
  assert.equal(formatGrams(1234.5), "1.2 kg");
});

test("no time that passed is told as none", () => {
  assert.deepEqual([0.0316, 0.1, 12, 90].map(formatDuration), ["32 ms", "0.1 s", "12 s", "90 s"]);
});

test("a range stands behind its joules, and is left out where it is not known", () => {
  assert.equal(formatWithin(3, -0.5, 9), "3.00 J (-0.5 to 9 J)");
  assert.equal(formatWithin(3, null, null), "3.00 J");
  assert.equal(formatWithin(null, null, null), "–");
});

test("unknown energy is a dash, not zero", () => {
  assert.equal(formatJoules(null), "–");
  assert.equal(formatWattHours(null), "–");
});

test("watt-hours are joules over 3600", () => {
  assert.equal(formatWattHours(11.16), "3.10 mWh");
});

test("a share is a whole percentage, negative when more was spent", () => {
  assert.equal(formatShare(1, 4), "25 %");
  assert.equal(formatShare(-1, 4), "-25 %");
});

test("a share of nothing, or of the unknown, is unknown", () => {
  assert.equal(formatShare(0, 0), "–");
  assert.equal(formatShare(null, 4), "–");
});

test("an exit layer is shown with the depth of its model", () => {
  assert.equal(formatExitLayer(18.21, 30), "18.2 of 30 layers");
  assert.equal(formatExitLayer(null, 30), "–");
});
