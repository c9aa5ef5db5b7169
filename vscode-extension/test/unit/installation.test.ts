import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { afterEach, beforeEach, test } from "node:test";
import type * as vscode from "vscode";
import { installServer } from "../../src/installation";
import { fakeLogger } from "./fakes/logger";
import { person, shown, Uri } from "./fakes/vscode";

const PATH = env["PATH"] ?? "";
let root: string;

/** A python3 on the PATH that writes down what it is asked, and makes environments with itself inside. */
function putPython(exitCode: number): void {
  mkdirSync(join(root, "path"), { recursive: true });
  const script = [
    "#!/bin/sh",
    `echo "$@" >> "${root}/calls"`,
    `[ ${exitCode} = 0 ] || exit ${exitCode}`,
    'if [ "$3" = venv ]; then mkdir -p "$5/bin" && cp "$0" "$5/bin/python"; fi',
  ].join("\n");
  writeFileSync(join(root, "path", "python3"), script);
  chmodSync(join(root, "path", "python3"), 0o755);
}

function calls(): string[] {
  const file = join(root, "calls");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

function putBundle(): void {
  mkdirSync(join(root, "extension", "bundled"), { recursive: true });
  for (const name of ["green_code-1-py3-none-any.whl", "constraints.txt"]) {
    writeFileSync(join(root, "extension", "bundled", name), "");
  }
}

async function install(): Promise<void> {
  const extensionUri = Uri.file(join(root, "extension")) as unknown as vscode.Uri;
  const folder = join(root, "storage", "server");
  await installServer({ folder, extensionUri, logger: fakeLogger().logger });
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "green-code-"));
  mkdirSync(join(root, "extension"));
  env["PATH"] = `${join(root, "path")}:${PATH}`;
  shown.errors.length = 0;
  person.cancelsAt = "";
});

afterEach(() => {
  env["PATH"] = PATH;
  rmSync(root, { recursive: true });
});

test("the wheel is installed into an environment made anew, by its own Python", async () => {
  putPython(0);
  putBundle();

  await install();

  assert.deepEqual(shown.errors, []);
  const asked = calls();
  assert.ok(asked.includes(`-I -m venv --clear ${join(root, "storage", "server")}`));
  assert.match(asked.at(-1) ?? "", /^-I -m pip install .*green_code-1-py3-none-any\.whl/);
});

test("an extension without a wheel says what to set", async () => {
  putPython(0);

  await install();

  assert.equal(shown.errors.length, 1);
  assert.match(shown.errors[0] ?? "", /no server in it; set greenCode\.interpreter instead/);
  assert.deepEqual(calls(), []);
});

test("a machine without a fitting Python is told which is needed", async () => {
  putPython(1);
  putBundle();

  await install();

  assert.match(shown.errors.join(), /Python 3\.10 or newer, with venv, was not found as python3/);
});

for (const message of ["Looking for Python…", "Making an environment…"]) {
  test(`whoever cancels at "${message}" is told of no failure`, async () => {
    putPython(0);
    putBundle();
    person.cancelsAt = message;

    await install();

    assert.deepEqual(shown.errors, []);
    assert.ok(!calls().some((call) => call.includes("pip install")));
  });
}
