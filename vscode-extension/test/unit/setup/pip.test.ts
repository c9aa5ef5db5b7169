import assert from "node:assert/strict";
import { test } from "node:test";
import { failureIn, findBundle, pipInstaller, underWay, uvInstaller } from "../../../src/setup/pip";

const WHEEL = "green_code-0.1.0-py3-none-any.whl";
const BUNDLE = {
  wheel: `/bundled/${WHEEL}`,
  constraints: "/bundled/constraints.txt",
  requirements: "/bundled/without-torch.txt",
};
const PLAN = { folder: "/env", inside: "/env/bin/python", python: "python3", bundle: BUNDLE };

test("the bundle is a wheel and the versions it was tested with", () => {
  assert.deepEqual(findBundle("/bundled", ["constraints.txt", WHEEL, "without-torch.txt"]), BUNDLE);
});

test("a wheel without its versions is no bundle, and neither are versions without a wheel", () => {
  assert.equal(findBundle("/bundled", [WHEEL]), undefined);
  assert.equal(findBundle("/bundled", [WHEEL, "constraints.txt"]), undefined);
  assert.equal(findBundle("/bundled", ["constraints.txt", "without-torch.txt"]), undefined);
});

for (const installer of [pipInstaller(PLAN), uvInstaller("uv", PLAN)]) {
  test(`${installer.name} installs the tested versions from the user's own indexes`, () => {
    for (const command of [...installer.server, installer.withTorch]) {
      const told = command.join(" ");
      assert.match(told, /--constraint \/bundled\/constraints\.txt/);
      assert.doesNotMatch(told, /index/);
    }
    assert.equal(installer.withTorch.at(-1), BUNDLE.wheel);
    assert.match(
      installer.server.join(" "),
      /--requirement.*without-torch\.txt.*--no-deps.*\.whl$/,
    );
  });

  test(`${installer.name} asks PyTorch's index for PyTorch alone`, () => {
    const told = installer.torch.join(" ");

    assert.match(told, /--no-deps .*index.* torch$/);
    assert.match(told, /--constraint \/bundled\/constraints\.txt/);
  });
}

for (const [line, message] of [
  ["Collecting onnxruntime<2,>=1.23 (from green-code==0.1.0)", "onnxruntime"],
  ["  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (190.4 MB)", "torch (190 MB)"],
  ["  Downloading numpy-2.4.0-cp311-cp311-manylinux.whl.metadata (62 kB)", "numpy (62 kB)"],
  ["Downloading torch (181.3MiB)", "torch (181 MB)"],
  ["Downloading numpy (15.1MiB)", "numpy (15 MB)"],
  ["Installing collected packages: a, b", "unpacking, nearly done"],
  ["Prepared 52 packages in 12.3s", "unpacking, nearly done"],
  ["Requirement already satisfied: filelock in /env", undefined],
] as const) {
  test(`"${line.trim()}" is shown as ${message ?? "nothing"}`, () => {
    assert.equal(underWay(line), message);
  });
}

test("the last error is why it failed", () => {
  const lines = [
    "ERROR: Could not find a version of torch",
    "ERROR: No matching distribution",
    "notice",
  ];

  assert.equal(failureIn(lines), "No matching distribution");
  assert.equal(failureIn(["error: Failed to fetch"]), "Failed to fetch");
  assert.equal(
    failureIn(["  × No solution found when resolving dependencies:"]),
    "No solution found when resolving dependencies:",
  );
  assert.equal(failureIn(["all is well"]), undefined);
});
