import assert from "node:assert/strict";
import { test } from "node:test";
import { meaningOf } from "../../src/greenMode";

test("position 0 is lossless, and no other", () => {
  assert.match(meaningOf(0), /^Lossless: exactly the text of the whole model\./);
  assert.doesNotMatch(meaningOf(1), /Lossless/);
});

test("every position names where its figures were measured: the nearest position", () => {
  const measuredAt = [1, 30, 35, 36, 65, 66, 90, 91].map((greenMode) =>
    Number(/Measured at (\d+):/.exec(meaningOf(greenMode))?.[1]),
  );

  assert.deepEqual(measuredAt, [0, 20, 20, 50, 50, 80, 80, 100]);
});
