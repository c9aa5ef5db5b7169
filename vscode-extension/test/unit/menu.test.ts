import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { COMMAND } from "../../src/commandIds";
import { menuOf } from "../../src/menu";
import type { Snapshot } from "../../src/snapshot";
import { configuration } from "./fakes/vscode";

const READY: Snapshot = {
  server: { phase: "running", message: "" },
  installing: "",
  answeredFor: "",
  status: {
    health: "ok",
    quiescent: true,
    message: "",
    remedy: "none",
    silence: "none",
    power: "",
    model: "smollm2-135m",
    device: "CPU",
    remote: null,
    meter: null,
    meterNotes: [],
  },
  energy: null,
};

const PYTHON = { language: "python", isOff: false };

function commandsOf(snapshot: Snapshot, language?: string): (string | undefined)[] {
  return menuOf(snapshot, language === undefined ? undefined : { language, isOff: false }).map(
    ({ command }) => command,
  );
}

function set(name: string, value: unknown): void {
  configuration.set(name, { globalValue: value });
}

beforeEach(() => {
  configuration.clear();
  set("greenMode", 20);
});

test("what a person looks for is in the menu", () => {
  const commands = commandsOf(READY, "python");

  for (const command of [
    COMMAND.disable,
    COMMAND.toggleLanguage,
    COMMAND.toggleFile,
    COMMAND.snooze,
    COMMAND.choosePreset,
    COMMAND.chooseModel,
    COMMAND.showHistory,
    COMMAND.doctor,
    COMMAND.repairServer,
    "workbench.action.openSettings",
    "workbench.action.openGlobalKeybindings",
  ]) {
    assert.ok(commands.includes(command), command);
  }
});

test("without a server its installation stands first, and nothing is to be repaired", () => {
  const commands = commandsOf({
    ...READY,
    server: { phase: "missing", message: "" },
    status: null,
  });

  assert.equal(commands[0], COMMAND.installServer);
  assert.ok(!commands.includes(COMMAND.repairServer));
});

test("who snoozes is offered to wake it up first, and no second snooze", () => {
  assert.ok(READY.status);
  const commands = commandsOf({ ...READY, status: { ...READY.status, silence: "snoozed" } });

  assert.equal(commands[0], COMMAND.wakeUp);
  assert.ok(!commands.includes(COMMAND.snooze));
});

test("the language of the open file is named, with what would change", () => {
  const labels = (): string[] => menuOf(READY, PYTHON).map(({ label }) => label);
  assert.ok(labels().some((label) => label.endsWith("Switch off for python")));

  set("languages", { python: false });

  assert.ok(labels().some((label) => label.endsWith("Switch on for python")));
});

test("the open file is switched from the menu, beside its language", () => {
  const labels = (isOff: boolean): string[] =>
    menuOf(READY, { ...PYTHON, isOff }).map(({ label }) => label);

  assert.ok(labels(false).some((label) => label.endsWith("Switch off for this file")));
  assert.ok(labels(true).some((label) => label.endsWith("Switch on for this file")));
});

test("green mode is told by its number, and by its name where it has one", () => {
  const told = (): (string | undefined)[] =>
    menuOf(READY, undefined).map(({ description }) => description);
  assert.ok(told().includes("20 of 100, Quality"));

  set("greenMode", 33);

  assert.ok(told().includes("33 of 100"));
});
