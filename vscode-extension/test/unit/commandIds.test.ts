import assert from "node:assert/strict";
import { test } from "node:test";
import package_ from "../../package.json";
import { COMMAND, SLIDER_VIEW } from "../../src/commandIds";

const { contributes } = package_;

test("package.json contributes exactly our commands", () => {
  const contributed = contributes.commands.map(({ command }) => command);

  assert.deepEqual(contributed.sort(), Object.values(COMMAND).sort());
});

test("package.json contributes the slider's view", () => {
  assert.deepEqual(
    contributes.views.greenCode.map(({ id }) => id),
    [SLIDER_VIEW],
  );
});
