import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { afterEach, beforeEach, test } from "node:test";
import type * as vscode from "vscode";
import { Environments, POINTER } from "../../../src/setup/environments";
import { installServer, type Outcome } from "../../../src/setup/installation";
import { fakeLogger } from "../fakes/logger";
import { person, shown, Uri } from "../fakes/vscode";

const PATH = env["PATH"] ?? "";
const WHEEL = "green_code-1-py3-none-any.whl";
const HAS_GPU = existsSync("/dev/nvidiactl");
let root: string;
let environments: Environments;
let progress: string[];

/** A program on the PATH that writes down what it is asked, makes environments with itself inside, and fails as told. */
function putPython(name = "python3"): void {
  mkdirSync(join(root, "path"), { recursive: true });
  const script = [
    "#!/bin/sh",
    `echo "${name} $@" >> "${root}/calls"`,
    `while read -r pattern; do case "$*" in *"$pattern"*) echo "ERROR: no $pattern today" >&2; exit 1;; esac; done < "${root}/fails"`,
    'for last; do :; done; if [ "$3" = venv ] || [ "$1" = venv ]; then mkdir -p "$last/bin" && cp "$0" "$last/bin/python"; fi',
    "exit 0",
  ].join("\n");
  writeFileSync(join(root, "path", name), script);
  chmodSync(join(root, "path", name), 0o755);
}

/** Whatever has one of these in its arguments fails from now on. */
function fail(...patterns: string[]): void {
  writeFileSync(join(root, "fails"), patterns.map((pattern) => `${pattern}\n`).join(""));
}

function calls(): string[] {
  const file = join(root, "calls");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

function environmentsThere(): string[] {
  return readdirSync(environments.storage).filter((name) => name.startsWith("server-"));
}

async function install({ withTorch = false } = {}): Promise<Outcome> {
  const extensionUri = Uri.file(join(root, "extension")) as unknown as vscode.Uri;
  const { logger } = fakeLogger();
  const onProgress = (message: string): void => void progress.push(message);
  return installServer({ environments, extensionUri, withTorch, logger, onProgress });
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "green-code-"));
  environments = new Environments(join(root, "storage"));
  progress = [];
  mkdirSync(join(root, "extension", "bundled"), { recursive: true });
  for (const name of [WHEEL, "constraints.txt", "without-torch.txt"]) {
    writeFileSync(join(root, "extension", "bundled", name), "");
  }
  fail();
  putPython();
  // Nothing of this machine: neither its uv nor its Pythons.
  for (const tool of ["cp", "mkdir"]) symlinkSync(join("/bin", tool), join(root, "path", tool));
  env["PATH"] = join(root, "path");
  Object.assign(shown, { errors: [], progress: [], hints: [] });
  person.cancelsAt = "";
});

afterEach(() => {
  env["PATH"] = PATH;
  rmSync(root, { recursive: true });
});

test("the wheel is installed into a new environment, by its own Python, and checked before it is used", async () => {
  assert.equal(await install(), "installed");

  const current = (await environments.current()) ?? "";
  assert.ok(existsSync(join(current, "bin", "python")));
  const asked = calls();
  const installed = asked.findIndex((call) =>
    /pip install .*green_code-1-py3-none-any\.whl$/.test(call),
  );
  assert.ok(installed > 0);
  assert.match(asked.at(-1) ?? "", /-I -c import .*lsp_server\.handlers/);
  assert.deepEqual(shown.errors, []);
  assert.equal(progress.at(-1), "");
});

test("each step says which it is of how many", async () => {
  await install();

  for (const number of [1, 2, 3, 4]) {
    assert.ok(progress.some((message) => message.startsWith(`step ${number} of 4: `)));
  }
});

test("a repair is built beside the environment in use, which goes only afterwards", async () => {
  await install();
  const before = await environments.current();

  await install();

  assert.notEqual(await environments.current(), before);
  assert.equal(environmentsThere().length, 2);
  await environments.removeOthers();
  assert.deepEqual(
    environmentsThere().map((name) => join(environments.storage, name)),
    [await environments.current()],
  );
});

for (const [what, pattern] of [
  ["the environment", "venv"],
  ["the packages", ".whl"],
  ["the check", "lsp_server.handlers"],
] as const) {
  test(`a repair that fails at ${what} leaves the one in use as it is, and says so`, async () => {
    await install();
    const before = await environments.current();
    fail(pattern);

    assert.equal(await install(), "failed");

    assert.equal(await environments.current(), before);
    assert.ok(existsSync(join(before ?? "", "bin", "python")));
    assert.equal(environmentsThere().length, 1);
    assert.match(shown.errors.join(), /the one that you have was not touched/);
  });
}

test("what pip says of its failure is told", async () => {
  fail(".whl");

  await install();

  assert.match(shown.errors.join(), /could not be installed\. It says: no \.whl today/);
});

for (const message of [
  "step 1 of 4: looking for Python",
  "step 2 of 4: making an environment with pip",
  "step 3 of 4: installing packages",
  "step 4 of 4: checking that the server starts",
]) {
  test(`whoever cancels a repair at "${message}" keeps the server and is told of no failure`, async () => {
    await install();
    const before = await environments.current();
    person.cancelsAt = message;

    assert.equal(await install(), "cancelled");

    assert.deepEqual(shown.errors, []);
    assert.match(shown.hints.join(), /the server that you have was not touched/);
    assert.equal(await environments.current(), before);
    assert.equal(environmentsThere().length, 1);
  });
}

test("an installation that was killed is no environment, and the next one clears it away", async () => {
  mkdirSync(join(environments.storage, "server-half"), { recursive: true });
  writeFileSync(join(environments.storage, "install.lock"), "999999999");
  assert.equal(await environments.current(), undefined);

  assert.equal(await install(), "installed");

  assert.ok(!environmentsThere().includes("server-half"));
});

test("two windows make one installation", async () => {
  const outcomes = await Promise.all([install(), install()]);

  assert.deepEqual(outcomes, ["installed", "installed"]);
  assert.equal(environmentsThere().length, 1);
  assert.equal(calls().filter((call) => call.endsWith(".whl")).length, 1);
  assert.ok(progress.some((message) => message.includes("another window")));
});

test("uv is taken where it is, and pip where uv cannot reach what it needs", async () => {
  putPython("uv");
  assert.equal(await install(), "installed");
  assert.ok(calls().some((call) => /^uv pip install .*\.whl$/.test(call)));
  assert.ok(!calls().some((call) => call.includes("-m pip")));

  fail("pip install --python");
  assert.equal(await install(), "installed");
  assert.ok(calls().some((call) => /-I -m pip install .*\.whl$/.test(call)));
});

test(
  "a CPU gets no PyTorch, and all else that the server asks for",
  { skip: HAS_GPU },
  async () => {
    assert.equal(await install(), "installed");

    const asked = calls().filter((call) => call.includes("pip install"));
    assert.match(asked[0] ?? "", /--constraint .* --requirement .*without-torch\.txt$/);
    assert.match(asked[1] ?? "", /--no-deps .*\.whl$/);
    assert.equal(asked.length, 2);
    assert.equal(await environments.hasTorch(), false);
  },
);

test("who adds PyTorch has it in the next environment, and a repair keeps it", async () => {
  await install();

  assert.equal(await install({ withTorch: true }), "installed");
  const added = calls().length;
  assert.equal(await environments.hasTorch(), true);
  assert.match(calls().at(-1) ?? "", /import torch, transformers/);

  await install();

  const repaired = calls().slice(added);
  assert.ok(repaired.some((call) => call.includes("import torch, transformers")));
  assert.ok(!repaired.some((call) => call.includes("without-torch")));
});

test("who adds PyTorch while another window installs without it gets it all the same", async () => {
  await Promise.all([install(), install({ withTorch: true })]);

  assert.equal(await environments.hasTorch(), true);
});

test(
  "PyTorch's own index is asked for PyTorch alone, and may be out of reach",
  { skip: HAS_GPU },
  async () => {
    fail("download.pytorch.org");

    assert.equal(await install({ withTorch: true }), "installed");

    const asked = calls().filter((call) => call.includes("download.pytorch.org"));
    assert.equal(asked.length, 1);
    assert.match(asked[0] ?? "", /--no-deps --retries 0 .* torch$/);
  },
);

test("an extension without a wheel says what to set", async () => {
  rmSync(join(root, "extension", "bundled"), { recursive: true });

  await install();

  assert.match(shown.errors.join(), /no server in it; set greenCode\.interpreter instead/);
  assert.deepEqual(calls(), []);
});

test("a machine whose Python has no venv is told what brings it", async () => {
  fail("ensurepip");

  await install();

  assert.match(shown.errors.join(), /apt install python3-venv/);
});

test("a machine without a fitting Python is told which is needed", async () => {
  fail("version_info");

  await install();

  assert.match(shown.errors.join(), /Python 3\.10 or newer was not found/);
});

test("a pointer that leads out of the storage is none", async () => {
  await install();

  writeFileSync(join(environments.storage, POINTER), '{"folder": "../elsewhere"}');

  assert.equal(await environments.current(), undefined);
});
