import assert from "node:assert/strict";
import { test } from "node:test";
import { doctorReport, type Findings } from "../../src/doctorReport";

const FINDINGS: Findings = {
  version: "0.1.0",
  editor: "Visual Studio Code 1.139.1",
  remote: "",
  isTrusted: true,
  server: "/home/ada/.venv/bin/python -I -m lsp_server serve",
  serverSays: "Green Code 0.1.0, Python 3.11.2\n  models in /home/ada/.cache/green-code\n",
  snapshot: {
    server: { phase: "running", message: "" },
    installing: "",
    answeredFor: "",
    status: null,
    energy: null,
  },
  requests: [
    {
      askedAt: "2026-11-28T14:03:11.120+00:00",
      language: "python",
      byHand: false,
      outcome: "computed",
      reason: "",
      offeredChars: 24,
      elapsedS: 0.0841,
      energyJ: 1.2,
    },
    {
      askedAt: "2026-11-28T14:03:12.000+00:00",
      language: "markdown",
      byHand: true,
      outcome: "skipped",
      reason: "A suggestion here is seldom kept.",
      offeredChars: 0,
      elapsedS: 0.002,
      energyJ: null,
    },
  ],
  index: "Files read: 214.",
  settings: [
    { name: "greenCode.greenMode", scope: "workspace", value: 50 },
    { name: "greenCode.privateFiles", scope: "user", value: ["customers/acme/", "!.npmrc"] },
  ],
  rivals: [],
  inlineSuggest: true,
  quickSuggestions: { other: "on" },
  home: "/home/ada",
};

test("the report says what runs, what its doctor says, and which settings come from where", () => {
  const report = doctorReport(FINDINGS);

  assert.match(report, /Green Code 0\.1\.0 in Visual Studio Code 1\.139\.1/);
  assert.match(report, /Python 3\.11\.2/);
  assert.match(report, /greenCode\.greenMode: 50 \(workspace\)/);
  assert.match(report, /Nothing stands in the way/);
  assert.match(report, /- workspace: Files read: 214\./);
  assert.match(doctorReport({ ...FINDINGS, index: "" }), /- workspace: not read\n/);
});

test("the last requests are told, the newest first, with what each cost or why there was none", () => {
  const lines = doctorReport(FINDINGS).split("\n");
  const first = lines.indexOf("## Last requests") + 2;

  assert.deepEqual(lines.slice(first, first + 2), [
    "- 14:03:12 markdown, by hand: skipped, 2 ms. A suggestion here is seldom kept.",
    "- 14:03:11 python, while typing: computed, 24 characters offered, 84 ms, 1.20 J",
  ]);
  assert.match(doctorReport({ ...FINDINGS, requests: [] }), /## Last requests\n\nNone yet\./);
});

test("it may be passed on: no name of a home, and no private pattern", () => {
  const report = doctorReport(FINDINGS);

  assert.doesNotMatch(report, /ada|acme/);
  assert.match(report, /~\/\.venv\/bin\/python/);
  assert.match(report, /greenCode\.privateFiles: 2 patterns \(user\)/);
});

test("who stands in the way is named", () => {
  const report = doctorReport({
    ...FINDINGS,
    rivals: ["github.copilot"],
    inlineSuggest: false,
    quickSuggestions: { other: "offWhenInlineCompletions" },
  });

  assert.match(report, /github\.copilot/);
  assert.match(report, /`editor\.inlineSuggest\.enabled` is off/);
  assert.match(report, /`editor\.quickSuggestions` hides/);
});

test("a server that does not run stands in the way, and so does a switch that is off", () => {
  const server = { phase: "stopped", message: "It could not be started." } as const;
  const settings = [{ name: "greenCode.enable", scope: "user", value: false }];
  const report = doctorReport({
    ...FINDINGS,
    snapshot: { ...FINDINGS.snapshot, server },
    settings,
  });

  assert.match(report, /- The server does not run; what its command says stands below\./);
  assert.match(report, /- Completions are switched off\./);
  assert.doesNotMatch(report, /Nothing stands in the way/);
});
