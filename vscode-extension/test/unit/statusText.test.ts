import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionEnergy, Silence, Status } from "../../src/protocol";
import type { Snapshot } from "../../src/snapshot";
import { renderStatus, TOOLTIP_COMMANDS, type Here } from "../../src/statusText";

const STATUS: Status = {
  health: "ok",
  quiescent: true,
  message: "",
  remedy: "none",
  silence: "none",
  power: "",
  model: "smollm2-135m",
  device: "CPU, 2 threads",
  remote: null,
  meter: "modelled: uncalibrated, by bytes of weights read",
  meterNotes: ["RAPL: /sys/class/powercap is not there."],
};

const ENERGY: SessionEnergy = {
  sessionId: "s",
  startedAt: "2026-01-01T00:00:00Z",
  energyJ: 12.44,
  provenance: "modelled",
  source: "uncalibrated, by bytes of weights read",
  baselineEnergyJ: 16,
  savedJ: 3.56,
  savedLowJ: 0.712,
  savedHighJ: 10.68,
  wastedJ: 5,
  prefillJ: 4,
  decodeJ: 8,
  policyJ: 0.44,
  verificationJ: null,
  projectsJ: null,
  requests: 12,
  offered: 10,
  accepted: 3,
  cancelled: 2,
  reused: 7,
  skipped: 3,
  offeredChars: 200,
  acceptedChars: 60,
  tokens: 80,
  meanExitLayer: 24.25,
  layersTotal: 30,
  lastMeanExitLayer: 21,
  lastEnergyJ: 1.5,
  lastElapsedS: 0.84,
  greenMode: 50,
  todayJ: 12.44,
  todaySessions: 1,
};

const RUNNING: Snapshot = {
  server: { phase: "running", message: "" },
  installing: "",
  answeredFor: "",
  status: STATUS,
  energy: ENERGY,
};

const ON: Here = { enable: true, languageOff: "", isFileOff: false, isElsewhere: false };

function withStatus(change: Partial<Status>): Snapshot {
  return { ...RUNNING, status: { ...STATUS, ...change } };
}

/** The first line of the tooltip, without the name. */
function firstLine(snapshot: Snapshot, here = ON): string {
  const [line = ""] = renderStatus(snapshot, here).tooltip.split("\n");
  return line.replace("**Green Code:** ", "");
}

test("the item names itself and shows the session's energy", () => {
  assert.equal(renderStatus(RUNNING, ON).text, "$(green-code-leaf) Green Code 12.4 J");
});

test("energy that is not known, or nothing yet, is left out", () => {
  for (const energyJ of [null, 0]) {
    const snapshot = { ...RUNNING, energy: { ...ENERGY, energyJ } };

    assert.equal(renderStatus(snapshot, ON).text, "$(green-code-leaf) Green Code");
  }
});

const SILENCES: readonly (readonly [Silence, text: string])[] = [
  ["off", "$(circle-slash) Green Code: off here"],
  ["snoozed", "$(bell-slash) Green Code: snoozed"],
  ["paused", "$(debug-pause) Green Code: paused"],
  ["private", "$(lock) Green Code: private file"],
  ["skipped", "$(circle-outline) Green Code 12.4 J"],
  ["nothing", "$(circle-outline) Green Code 12.4 J"],
];

for (const [silence, text] of SILENCES) {
  test(`where nothing is offered (${silence}) the item looks so, and the tooltip begins with the reason`, () => {
    const snapshot = withStatus({ silence, message: "The reason." });

    assert.equal(renderStatus(snapshot, ON).sentence, "The reason.");

    assert.equal(renderStatus(snapshot, ON).text, text);
    assert.equal(renderStatus(snapshot, ON).severity, "none");
    assert.equal(firstLine(snapshot), "The reason.");
  });
}

test("a server that once stopped says so only while there is no reason of now", () => {
  const restarted = { phase: "running", message: "It was started again." } as const;
  const snoozed = withStatus({ silence: "snoozed", message: "Snoozed until 12:00." });

  assert.equal(firstLine({ ...RUNNING, server: restarted }), "It was started again.");
  assert.equal(firstLine({ ...snoozed, server: restarted }), "Snoozed until 12:00.");
});

test("the reason of a place is gone in another file; a snooze is not", () => {
  const elsewhere = { ...ON, isElsewhere: true };
  const place = withStatus({ silence: "private", message: "It stays private." });
  const snooze = withStatus({ silence: "snoozed", message: "Snoozed until 12:00." });

  assert.equal(firstLine(place, elsewhere), "Ready.");
  assert.equal(firstLine(snooze, elsewhere), "Snoozed until 12:00.");
});

test("nothing is read out twice", () => {
  const { accessibilityLabel } = renderStatus(
    { ...RUNNING, energy: null },
    { ...ON, enable: false },
  );

  assert.equal(accessibilityLabel, "Green Code: completions are switched off.");
});

test("a language that is switched off is told before anybody types", () => {
  const here = { ...ON, languageOff: "markdown" };

  assert.equal(renderStatus(RUNNING, here).text, "$(circle-slash) Green Code: off here");
  assert.equal(firstLine(RUNNING, here), "Completions are off for markdown.");
});

test("a file that is switched off says so, whatever its language", () => {
  const here = { ...ON, isFileOff: true, languageOff: "markdown" };

  assert.equal(renderStatus(RUNNING, here).text, "$(circle-slash) Green Code: off here");
  assert.equal(firstLine(RUNNING, here), "Completions are off for this file.");
});

test("who snoozes may wake it up from the tooltip", () => {
  const { tooltip } = renderStatus(withStatus({ silence: "snoozed" }), ON);

  assert.match(tooltip, /\[Wake up\]\(command:greenCode\.wakeUp\)/);
});

test("an installation is shown while an older server goes on", () => {
  const snapshot = { ...RUNNING, installing: "step 3 of 4: installing packages" };

  assert.equal(renderStatus(snapshot, ON).text, "$(sync~spin) Green Code: installing");
  assert.match(firstLine(snapshot), /step 3 of 4/);
});

test("a server elsewhere is seen, and who reads what is typed is told", () => {
  const unknown = {
    ...ENERGY,
    energyJ: null,
    provenance: "none",
    source: "gpu:8000 reports no energy",
  };
  const snapshot = {
    ...withStatus({ remote: "gpu:8000", device: "server gpu:8000" }),
    energy: unknown,
  };

  const { text, tooltip, accessibilityLabel } = renderStatus(snapshot, ON);

  assert.equal(text, "$(cloud) Green Code");
  assert.match(tooltip, /The text around the cursor is sent to gpu:8000\./);
  assert.match(tooltip, /on server gpu:8000\. Energy not known: gpu:8000 reports no energy/);
  assert.match(tooltip, /\*\*Spent:\*\* not known\n/);
  assert.match(accessibilityLabel, /is sent to gpu:8000\./);
  assert.doesNotMatch(renderStatus(RUNNING, ON).tooltip, /is sent to/);
});

test("what was spent stands beside a comparison, and how it was had", () => {
  const { tooltip } = renderStatus(RUNNING, ON);

  assert.match(
    tooltip,
    /\*\*Spent\*\* 12\.4 J \(3\.46 mWh\) since .*\d\d:00.*: a 10 W lamp for 1\.2 s/,
  );
  assert.match(tooltip, /Energy modelled: uncalibrated, by bytes of weights read/);
});

test("what was saved names its range, its baseline and that it is modelled", () => {
  const { tooltip } = renderStatus(RUNNING, ON);

  assert.match(
    tooltip,
    /\*\*Saved\*\* 3\.56 J \(0\.71\sto\s11\sJ\), 22 %, against full depth with KV cache, modelled/,
  );
});

test("nothing is said to be saved where more was spent", () => {
  const { tooltip } = renderStatus({ ...RUNNING, energy: { ...ENERGY, savedJ: -0.1 } }, ON);

  assert.match(tooltip, /\*\*Saved\*\* nothing yet/);
});

test("what was kept says what each character cost, and what was wasted and why", () => {
  const { tooltip } = renderStatus(RUNNING, ON);

  assert.match(
    tooltip,
    /\*\*Kept\*\* 60 of 200 characters, 207 mJ each; 5\.00 J went into text not kept; 2 of 12 requests overtaken by typing/,
  );
});

test("the tooltip has no dash for what is unknown, and no word of the laboratory", () => {
  const unknown = { ...ENERGY, energyJ: null, savedJ: null, wastedJ: null, source: null };

  for (const energy of [null, unknown, { ...ENERGY, requests: 0 }, ENERGY]) {
    const { tooltip } = renderStatus({ ...RUNNING, energy }, ON);

    assert.doesNotMatch(tooltip, /–|verification|exit layer|prefill/);
  }
});

test("before the first request there are no figures", () => {
  const { tooltip } = renderStatus({ ...RUNNING, energy: { ...ENERGY, requests: 0 } }, ON);

  assert.doesNotMatch(tooltip, /Spent|Kept/);
});

test("what other windows and earlier sessions took today is told, once they did", () => {
  const today = (change: Partial<SessionEnergy>): string =>
    /\*\*Today\*\*.*/.exec(
      renderStatus({ ...RUNNING, energy: { ...ENERGY, ...change } }, ON).tooltip,
    )?.[0] ?? "";
  const three = { todayJ: 1234, todaySessions: 3 };

  assert.equal(today({}), "");
  assert.equal(today(three), "**Today** 1.23 kJ in 3 sessions, all windows");
  assert.equal(today({ ...three, requests: 0, energyJ: null }), today(three));
  assert.equal(today({ requests: 0, energyJ: null }), "**Today** 12.4 J in 1 session, all windows");
  assert.equal(today({ todayJ: null, todaySessions: null }), "");
});

test("what reading the workspace took is told beside the requests, and before the first of them", () => {
  const projects = (change: Partial<SessionEnergy>): string | undefined =>
    /\*\*Beside that\*\*.*/.exec(
      renderStatus({ ...RUNNING, energy: { ...ENERGY, ...change } }, ON).tooltip,
    )?.[0];
  const read = "**Beside that** 48.2 J to read the workspace, modelled";

  assert.equal(projects({}), undefined);
  assert.equal(projects({ projectsJ: 48.2 }), read);
  assert.equal(projects({ projectsJ: 48.2, requests: 0, energyJ: null }), read);
});

test("what follows from the machine's power is told", () => {
  const power = "On battery: green mode 50 instead of 20 (greenCode.onBattery).";

  assert.ok(renderStatus(withStatus({ power }), ON).tooltip.includes(power));
});

test("the server's words are not read as markup", () => {
  const snapshot = withStatus({
    silence: "nothing",
    message: "[click](command:evil) | <b>now</b>",
  });

  const { tooltip } = renderStatus(snapshot, ON);

  assert.ok(tooltip.includes("\\[click\\](command:evil) \\| \\<b\\>now\\</b\\>"));
});

test("the tooltip links to nothing that the editor may not run from it", () => {
  const silent = SILENCES.map(([silence]) => withStatus({ silence }));
  for (const snapshot of [...silent, MISSING, withStatus({ health: "error" })]) {
    const { tooltip } = renderStatus(snapshot, ON);
    for (const [, command] of tooltip.matchAll(/\(command:([\w.]+)\)/g)) {
      assert.ok((TOOLTIP_COMMANDS as readonly (string | undefined)[]).includes(command));
    }
  }
});

test("work under way shows as a spinner", () => {
  const { text } = renderStatus(withStatus({ quiescent: false }), ON);

  assert.equal(text, "$(loading~spin) Green Code 12.4 J");
});

test("before the server said anything it is loading", () => {
  const snapshot: Snapshot = {
    ...RUNNING,
    server: { phase: "starting", message: "" },
    status: null,
    energy: null,
  };

  assert.equal(renderStatus(snapshot, ON).text, "$(loading~spin) Green Code");
});

for (const health of ["warning", "error"] as const) {
  test(`a server with a ${health} colours the item, and is told`, () => {
    const text = renderStatus(withStatus({ health, message: "The ledger is read-only." }), ON);

    assert.equal(text.severity, health);
    assert.match(text.accessibilityLabel, /The ledger is read-only\./);
    assert.match(text.tooltip, /The ledger is read-only\./);
  });
}

test("a model that cannot be used is not the server's fault: another may be chosen, or PyTorch added", () => {
  const links = (change: Partial<Status>): string[] =>
    [
      ...renderStatus(withStatus({ health: "error", ...change }), ON).tooltip.matchAll(
        /\[([^\]]+)\]/g,
      ),
    ].map(([, label = ""]) => label);

  assert.deepEqual(links({}).slice(0, 2), ["Choose a model", "Show log"]);
  assert.equal(links({ remedy: "torch" })[0], "Add PyTorch");
  assert.equal(links({ remedy: "restart" })[0], "Restart server");
  assert.ok(!links({}).includes("Repair server"));
});

const MISSING: Snapshot = {
  ...RUNNING,
  server: { phase: "missing", message: "No server was found." },
  status: null,
  energy: null,
};

test("a machine without a server is no fault: it says what to do", () => {
  const text = renderStatus(MISSING, ON);

  assert.equal(text.text, "$(cloud-download) Green Code: install");
  assert.equal(text.severity, "none");
  assert.equal(text.accessibilityLabel, "Green Code: to be installed. No server was found.");
  assert.match(text.tooltip, /\[Install server\]\(command:greenCode\.installServer\)/);
});

test("disabled completions are no error", () => {
  const text = renderStatus(RUNNING, { ...ON, enable: false });

  assert.equal(text.text, "$(circle-slash) Green Code: off");
  assert.equal(text.severity, "none");
});
