/** The words of Doctor's report, which is made to be passed on as well. Pure; looks nothing up. */

import { formatJoules } from "./format";
import type { Outcome, RecentRequest } from "./protocol";
import type { ServerPhase, Snapshot } from "./snapshot";
import { t } from "./words";

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
  /** Where, in words. */
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
  /** How much of the workspace has its say; "" where that is not known. */
  readonly index: string;
  readonly settings: readonly Scoped[];
  readonly rivals: readonly string[];
  readonly inlineSuggest: boolean;
  readonly quickSuggestions: unknown;
  /** The user's home folder, whose name is left out. */
  readonly home: string;
}

/** Settings whose values may be names that are nobody's business. */
const PRIVATE = ["greenCode.privateFiles"];

const PHASES: Readonly<Record<ServerPhase, string>> = {
  missing: t("missing"),
  starting: t("starting"),
  running: t("running"),
  stopped: t("stopped"),
};

const OUTCOMES: Readonly<Record<Outcome, string>> = {
  computed: t("computed"),
  reused: t("reused"),
  skipped: t("skipped"),
};

/** The report, in Markdown that reads well as plain text. */
export function doctorReport(findings: Findings): string {
  const { snapshot, server, serverSays, requests, settings, version, editor, remote } = findings;
  const advice = adviceOf(findings);
  const phase = PHASES[snapshot.server.phase];
  const lines = [
    `# ${t("Green Code: Doctor")}`,
    "",
    ...(advice.length === 0
      ? [t("Nothing stands in the way.")]
      : advice.map((each) => `- ${each}`)),
    "",
    `## ${t("Editor")}`,
    "",
    `- ${remote === "" ? t("Green Code {0} in {1}", version, editor) : t("Green Code {0} in {1}, remote: {2}", version, editor, remote)}`,
    `- ${findings.isTrusted ? t("folder: trusted") : t("folder: not trusted, so its settings choose no program, model or private files")}`,
    "",
    `## ${t("Server")}`,
    "",
    `- ${t("command: {0}", server === "" ? t("none was found") : server)}`,
    `- ${snapshot.installing === "" ? t("state: {0}", phase) : t("state: {0}, installing: {1}", phase, snapshot.installing)}`,
    ...sayings(snapshot).map((sentence) => `- ${sentence}`),
    `- ${t("workspace: {0}", findings.index === "" ? t("not read") : findings.index)}`,
    ...(serverSays.trim() === "" ? [] : ["", "```text", serverSays.trimEnd(), "```"]),
    "",
    `## ${t("Meters")}`,
    "",
    `- ${snapshot.status?.meter ?? t("not known yet")}`,
    // The server's own doctor has said why others were refused.
    ...(serverSays.trim() === "" ? (snapshot.status?.meterNotes ?? []) : []).map(
      (note) => `- ${note}`,
    ),
    "",
    `## ${t("Last requests")}`,
    "",
    ...(requests.length === 0 ? [t("None yet.")] : requests.toReversed().map(requestLine)),
    "",
    `## ${t("Settings that somebody has set")}`,
    "",
    ...(settings.length === 0 ? [t("None: all defaults.")] : settings.map(settingLine)),
    "",
  ];
  return withoutHome(lines.join("\n"), findings.home);
}

function adviceOf(findings: Findings): string[] {
  const { rivals, inlineSuggest, quickSuggestions, server, snapshot, settings } = findings;
  const { status } = snapshot;
  const hides = JSON.stringify(quickSuggestions).includes("offWhenInlineCompletions");
  return [
    ...(server === "" ? [t("No server was found: run _Green Code: Install Server_.")] : []),
    ...(snapshot.server.phase === "stopped"
      ? [t("The server does not run; what its command says stands below.")]
      : []),
    ...(status === null || status.health === "ok" ? [] : [status.message]),
    ...(settings.some(({ name, value }) => name === "greenCode.enable" && value === false)
      ? [t("Completions are switched off.")]
      : []),
    ...(inlineSuggest
      ? []
      : [
          t(
            "`editor.inlineSuggest.enabled` is off, so the editor shows no inline suggestion at all.",
          ),
        ]),
    ...(rivals.length === 0
      ? []
      : [
          t(
            "Another extension offers inline suggestions too ({0}): the editor shows only one at a place.",
            rivals.join(", "),
          ),
        ]),
    ...(hides
      ? [
          t(
            "`editor.quickSuggestions` hides the editor's own suggestions wherever an inline provider is there: set it to `on` to have both.",
          ),
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
  const asked = `${askedAt.slice(11, 19)} ${language}, ${byHand ? t("by hand") : t("while typing")}`;
  const facts = [
    OUTCOMES[outcome],
    ...(reason === "" ? [t("{0} characters offered", offeredChars)] : []),
    ...(elapsedS === null ? [] : [`${Math.round(1000 * elapsedS)} ms`]),
    ...(energyJ === null ? [] : [formatJoules(energyJ)]),
  ];
  return `- ${asked}: ${facts.join(", ")}${reason === "" ? "" : `. ${reason}`}`;
}

function settingLine({ name, scope, value }: Scoped): string {
  const shown = PRIVATE.includes(name)
    ? t("{0} patterns", Array.isArray(value) ? value.length : 1)
    : JSON.stringify(value);
  return `- ${name}: ${shown} (${scope})`;
}

function withoutHome(text: string, home: string): string {
  return home.length > 1 ? text.replaceAll(home, "~") : text;
}
