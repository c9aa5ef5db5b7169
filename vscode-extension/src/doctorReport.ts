/** The words of Doctor's report, in English, because it is made to be passed on. Pure; looks nothing up. */

import { formatJoules } from "./format";
import type { RecentRequest } from "./protocol";
import type { Snapshot } from "./snapshot";

/** Extensions that offer inline suggestions too: the editor shows the one that is first. */
export const RIVALS = [
  "github.copilot",
  "github.copilot-chat",
  "codeium.codeium",
  "tabnine.tabnine-vscode",
  "continue.continue",
  "tabbyml.vscode-tabby",
  "ggml-org.llama-vscode",
  "supermaven.supermaven",
  "visualstudioexptteam.vscodeintellicode",
] as const;

/** A setting that somebody has set. */
export interface Scoped {
  readonly name: string;
  readonly scope: string;
  readonly value: unknown;
}

/** Everything that is told. */
export interface Findings {
  readonly version: string;
  readonly editor: string;
  /** Such as "wsl"; "" where the window is local. */
  readonly remote: string;
  readonly isTrusted: boolean;
  /** The command that starts the server; "" where there is none. */
  readonly server: string;
  /** What its own doctor says. */
  readonly serverSays: string;
  readonly snapshot: Snapshot;
  /** The oldest first. */
  readonly requests: readonly RecentRequest[];
  readonly settings: readonly Scoped[];
  readonly rivals: readonly string[];
  readonly inlineSuggest: boolean;
  readonly quickSuggestions: unknown;
  /** The user's home folder, whose name is left out. */
  readonly home: string;
}

/** Settings whose values may be names that are nobody's business. */
const PRIVATE = ["greenCode.privateFiles"];

/** The report, in Markdown that reads well as plain text. */
export function doctorReport(findings: Findings): string {
  const { snapshot, server, serverSays, requests, settings } = findings;
  const advice = adviceOf(findings);
  const lines = [
    "# Green Code Doctor",
    "",
    ...(advice.length === 0 ? ["Nothing stands in the way."] : advice.map((each) => `- ${each}`)),
    "",
    "## Editor",
    "",
    `- Green Code ${findings.version} in ${findings.editor}${findings.remote === "" ? "" : `, remote: ${findings.remote}`}`,
    `- folder: ${findings.isTrusted ? "trusted" : "not trusted, so its settings choose no program, model or private files"}`,
    "",
    "## Server",
    "",
    `- command: ${server === "" ? "none was found" : server}`,
    `- state: ${snapshot.server.phase}${snapshot.installing === "" ? "" : `, installing: ${snapshot.installing}`}`,
    ...sayings(snapshot).map((sentence) => `- ${sentence}`),
    ...(serverSays.trim() === "" ? [] : ["", "```text", serverSays.trimEnd(), "```"]),
    "",
    "## Meters",
    "",
    `- ${snapshot.status?.meter ?? "not known yet"}`,
    ...(snapshot.status?.meterNotes ?? []).map((note) => `- ${note}`),
    "",
    "## Last requests",
    "",
    ...(requests.length === 0 ? ["None yet."] : requests.toReversed().map(requestLine)),
    "",
    "## Settings that somebody has set",
    "",
    ...(settings.length === 0 ? ["None: all defaults."] : settings.map(settingLine)),
    "",
  ];
  return withoutHome(lines.join("\n"), findings.home);
}

function adviceOf({ rivals, inlineSuggest, quickSuggestions, server }: Findings): string[] {
  return [
    ...(server === "" ? ["No server was found: run _Green Code: Install Server_."] : []),
    ...(inlineSuggest
      ? []
      : [
          "`editor.inlineSuggest.enabled` is off, so the editor shows no inline suggestion at all.",
        ]),
    ...(rivals.length === 0
      ? []
      : [
          `Another extension offers inline suggestions too (${rivals.join(", ")}): the editor shows only one at a place.`,
        ]),
    ...(JSON.stringify(quickSuggestions).includes("offWhenInlineCompletions")
      ? [
          "`editor.quickSuggestions` hides the editor's own suggestions wherever an inline provider is there: set it to `on` to have both.",
        ]
      : []),
  ];
}

function sayings({ server, status }: Snapshot): string[] {
  return [server.message, status?.message ?? "", status?.power ?? ""].filter((each) => each !== "");
}

/** Such as "14:03:11 python, while typing: computed, 24 characters offered, 84 ms, 1.20 J". */
function requestLine(request: RecentRequest): string {
  const { askedAt, language, byHand, outcome, reason, offeredChars, elapsedS, energyJ } = request;
  const asked = `${askedAt.slice(11, 19)} ${language}, ${byHand ? "by hand" : "while typing"}`;
  const facts = [
    outcome,
    ...(reason === "" ? [`${offeredChars} characters offered`] : []),
    ...(elapsedS === null ? [] : [`${Math.round(1000 * elapsedS)} ms`]),
    ...(energyJ === null ? [] : [formatJoules(energyJ, "en")]),
  ];
  return `- ${asked}: ${facts.join(", ")}${reason === "" ? "" : `. ${reason}`}`;
}

function settingLine({ name, scope, value }: Scoped): string {
  const shown = PRIVATE.includes(name)
    ? `${Array.isArray(value) ? value.length : 1} patterns`
    : JSON.stringify(value);
  return `- ${name}: ${shown} (${scope})`;
}

function withoutHome(text: string, home: string): string {
  return home.length > 1 ? text.replaceAll(home, "~") : text;
}
