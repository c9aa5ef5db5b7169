import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import {
  isGreenMode,
  readSettings,
  writeEnable,
  writeGreenMode,
  writeLanguage,
} from "../../src/settings";
import { configuration } from "./fakes/vscode";

beforeEach(() => {
  configuration.clear();
  configuration.set("greenMode", { defaultValue: 20 });
});

test("without settings the defaults hold", () => {
  assert.deepEqual(readSettings(), {
    enable: true,
    greenMode: 20,
    languages: {},
    country: "",
    model: "",
    interpreter: "",
    usesChosenPython: false,
    serverCommand: [],
  });
});

test("settings in force are read", () => {
  configuration.set("enable", { globalValue: false });
  configuration.set("greenMode", { defaultValue: 20, globalValue: 80, workspaceValue: 50 });
  configuration.set("country", { globalValue: " FRA " });
  configuration.set("model", { globalValue: " owner/model " });
  configuration.set("importStrategy", { globalValue: "fromEnvironment" });
  configuration.set("languages", { globalValue: { markdown: false } });
  configuration.set("interpreter", { globalValue: " /venv/bin/python " });
  configuration.set("serverCommand", { globalValue: ["serve", "--quiet"] });

  assert.deepEqual(readSettings(), {
    enable: false,
    greenMode: 50,
    languages: { markdown: false },
    country: "FRA",
    model: "owner/model",
    interpreter: "/venv/bin/python",
    usesChosenPython: true,
    serverCommand: ["serve", "--quiet"],
  });
});

for (const value of ["50", 101, -1, 49.5, true, null]) {
  test(`a green mode of ${JSON.stringify(value)} counts as not set`, () => {
    configuration.set("greenMode", { defaultValue: 20, globalValue: value });

    assert.equal(isGreenMode(value), false);
    assert.equal(readSettings().greenMode, 20);
  });
}

test("an interpreter and a command of the wrong type count as not set", () => {
  configuration.set("interpreter", { globalValue: 7 });
  configuration.set("serverCommand", { globalValue: ["serve", 7] });

  const { interpreter, serverCommand } = readSettings();

  assert.equal(interpreter, "");
  assert.deepEqual(serverCommand, []);
});

test("one language is switched, and every other entry of the setting stays as it was", async () => {
  configuration.set("languages", { globalValue: { "*": false, python: true, go: "on" } });
  assert.deepEqual(readSettings().languages, { "*": false, python: true });

  await writeLanguage("python", false);

  assert.deepEqual(configuration.get("languages"), {
    globalValue: { "*": false, go: "on", python: false },
  });
});

test("an interpreter in the home folder may be named by ~", () => {
  configuration.set("interpreter", { globalValue: "~/venv/bin/python" });

  assert.equal(readSettings().interpreter, join(homedir(), "venv", "bin", "python"));
});

test("a setting is written for the user", async () => {
  await writeGreenMode(80);

  assert.deepEqual(configuration.get("greenMode"), { defaultValue: 20, globalValue: 80 });
});

test("a setting that the workspace has is written there, where it is in force", async () => {
  configuration.set("enable", { globalValue: true, workspaceValue: true });

  await writeEnable(false);

  assert.equal(readSettings().enable, false);
  assert.deepEqual(configuration.get("enable"), { globalValue: true, workspaceValue: false });
});
