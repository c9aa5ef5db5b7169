import assert from "node:assert/strict";
import { test } from "node:test";
import { describeDay } from "../../src/history";
import type { DayEnergy } from "../../src/protocol";

const DAY: DayEnergy = {
  day: "2026-11-28",
  energyJ: 240,
  provenance: "modelled",
  baselineEnergyJ: 600,
  savedJ: 360,
  requests: 410,
  reused: 900,
  accepted: 31,
  acceptedChars: 640,
};

test("a day says what was spent, how that was had, and what it is compared with", () => {
  assert.deepEqual(describeDay(DAY), {
    label: "2026-11-28",
    description: "240 J, modelled",
    detail:
      "saved 360 J (60 %) against full depth with KV cache, modelled · 410 computed, 900 reused" +
      " · 31 accepted (640 characters)",
  });
});

test("a day whose energy is not known says so, and no zero", () => {
  const day = { ...DAY, energyJ: null, baselineEnergyJ: null, savedJ: null, provenance: "none" };

  assert.equal(describeDay(day).description, "energy not known");
  assert.match(describeDay(day).detail, /^saved – \(–\)/);
});
