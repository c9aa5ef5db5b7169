import "./fakes/wordless";
import assert from "node:assert/strict";
import { test } from "node:test";
import { doctorReport, type Findings } from "../../src/doctorReport";
import type { Outcome, RecentRequest } from "../../src/protocol";
import type { ServerPhase } from "../../src/snapshot";

/** Nothing in it has a letter. */
const WELL: Findings = {
  version: "1",
  editor: "2",
  remote: "",
  isTrusted: true,
  server: "3",
  serverSays: "4",
  snapshot: {
    server: { phase: "running", message: "5" },
    installing: "",
    answeredFor: "",
    status: null,
    energy: null,
  },
  requests: [],
  index: "",
  settings: [],
  rivals: [],
  inlineSuggest: true,
  quickSuggestions: {},
  home: "",
};

const request = (outcome: Outcome, byHand: boolean, reason: string): RecentRequest => ({
  askedAt: "2026-11-28T14:03:11.120+00:00",
  language: "6",
  byHand,
  outcome,
  reason,
  offeredChars: 7,
  elapsedS: 0.08,
  energyJ: 1.2,
});

const phases: ServerPhase[] = ["missing", "starting", "running", "stopped"];

const REPORTS: Findings[] = [
  WELL,
  ...phases.map((phase) => ({
    ...WELL,
    snapshot: { ...WELL.snapshot, server: { phase, message: "" }, installing: "8" },
  })),
  {
    ...WELL,
    remote: "9",
    isTrusted: false,
    server: "",
    requests: [
      request("computed", true, ""),
      request("reused", false, ""),
      request("skipped", false, "10"),
    ],
    settings: [{ name: "greenCode.privateFiles", scope: "11", value: ["x"] }],
    rivals: ["12"],
    inlineSuggest: false,
    quickSuggestions: "offWhenInlineCompletions",
  },
];

test("no English word is in the report but units and names of settings", () => {
  const left = REPORTS.flatMap(
    (findings) => doctorReport(findings).match(/[A-Za-z]+(?:\.[A-Za-z]+)*/g) ?? [],
  );

  assert.deepEqual(new Set(left), new Set(["text", "ms", "J", "greenCode.privateFiles"]));
});

test("figures have the decimal sign of the language", () => {
  const told = REPORTS.map(doctorReport).join("\n");

  assert.match(told, /1,20 J/);
  assert.doesNotMatch(told, /1\.20 J/);
});
