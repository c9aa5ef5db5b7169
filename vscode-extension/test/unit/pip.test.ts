import assert from "node:assert/strict";
import { test } from "node:test";
import { findBundle, pipInstall } from "../../src/pip";

const WHEEL = "green_code-0.1.0-py3-none-any.whl";

test("the bundle is a wheel and the versions it was tested with", () => {
  assert.deepEqual(findBundle("/bundled", ["constraints.txt", WHEEL]), {
    wheel: `/bundled/${WHEEL}`,
    constraints: "/bundled/constraints.txt",
  });
});

test("a wheel without its versions is no bundle, and neither are versions without a wheel", () => {
  assert.equal(findBundle("/bundled", [WHEEL]), undefined);
  assert.equal(findBundle("/bundled", ["constraints.txt"]), undefined);
});

test("pip installs the tested versions, with CUDA or without", () => {
  const bundle = { wheel: WHEEL, constraints: "constraints.txt" };

  for (const needsCuda of [true, false]) {
    const told = pipInstall(bundle, needsCuda);

    assert.deepEqual(told.slice(-3), ["--constraint", "constraints.txt", WHEEL]);
    assert.equal(told.includes("--extra-index-url"), !needsCuda);
  }
});
