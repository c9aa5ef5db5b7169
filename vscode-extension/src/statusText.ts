/**
 * What the status bar says: text, tooltip and severity from the newest messages. Pure; draws nothing.
 *
 * Every joule stands beside how it was had; what was saved, beside what it was saved against.
 */

import { COMMAND, type CommandId } from "./commandIds";
import {
  BASELINE,
  formatExitLayer,
  formatJoules,
  formatShare,
  formatTime,
  formatWattHours,
} from "./format";
import type { SessionEnergy, Status } from "./protocol";
import type { Snapshot } from "./snapshot";

/** The status bar item, before it is drawn. */
export interface StatusText {
  readonly text: string;
  /** Markdown. */
  readonly tooltip: string;
  readonly accessibilityLabel: string;
  readonly severity: "none" | "warning" | "error";
}

/** What the tooltip links to; the editor runs nothing else from it. */
export const TOOLTIP_COMMANDS: readonly (readonly [label: string, command: CommandId])[] = [
  ["Set green mode", COMMAND.setGreenMode],
  ["Energy by day", COMMAND.showHistory],
  ["Reset session", COMMAND.resetSession],
  ["Show log", COMMAND.showLog],
];

type Condition = "installing" | "disabled" | "missing" | "error" | "warning" | "busy" | "ready";

const ICONS: Record<Condition, string> = {
  disabled: "$(circle-slash)",
  installing: "$(sync~spin)",
  missing: "$(cloud-download)",
  error: "$(error)",
  warning: "$(warning)",
  busy: "$(loading~spin)",
  ready: "$(zap)",
};

const WORDS: Record<Condition, string> = {
  disabled: "completions are disabled",
  installing: "installing the server",
  missing: "to be installed",
  error: "not working",
  warning: "working, with a warning",
  busy: "working",
  ready: "ready",
};

/** Renders the newest snapshot; `enable` is the setting `greenCode.enable`. */
export function renderStatus(snapshot: Snapshot, { enable }: { enable: boolean }): StatusText {
  const condition = conditionOf(snapshot, enable);
  const { energy } = snapshot;
  const figure = energy === null ? "Green Code" : formatJoules(energy.energyJ);
  const sentence = sentenceOf(snapshot);
  return {
    text: `${ICONS[condition]} ${figure}`,
    tooltip: renderTooltip(snapshot, condition),
    accessibilityLabel: [
      `Green Code: ${WORDS[condition]}.`,
      ...(sentence === "" ? [] : [sentence]),
      ...(energy === null ? [] : [`Session energy: ${energyWithProvenance(energy)}.`]),
    ].join(" "),
    severity: severityOf(condition),
  };
}

function conditionOf({ server, installing, status }: Snapshot, enable: boolean): Condition {
  if (installing !== "") return "installing";
  if (server.phase === "missing") return "missing";
  if (server.phase === "stopped") return "error";
  if (!enable) return "disabled";
  if (server.phase === "starting" || status === null) return "busy";
  if (status.health !== "ok") return status.health;
  return status.quiescent ? "ready" : "busy";
}

function severityOf(condition: Condition): StatusText["severity"] {
  if (condition === "error") return "error";
  return condition === "warning" ? "warning" : "none";
}

/** The server's own sentence, unless the process has something more basic to say. */
function sentenceOf({ server, installing, status }: Snapshot): string {
  if (installing !== "") return installing;
  return server.message !== "" ? server.message : (status?.message ?? "");
}

function renderTooltip(snapshot: Snapshot, condition: Condition): string {
  const { status, energy } = snapshot;
  const sentence = sentenceOf(snapshot);
  const rows = [...(energy === null ? [] : energyRows(energy)), ...statusRows(status)];
  const notes = (status?.meterNotes ?? []).map((note) => `- ${escapeMarkdown(note)}`);
  return [
    `**Green Code:** ${WORDS[condition]}`,
    ...(sentence === "" ? [] : [escapeMarkdown(sentence)]),
    ...(rows.length === 0 ? [] : [table(rows)]),
    ...(notes.length === 0 ? [] : [`Why not a better meter:\n\n${notes.join("\n")}`]),
    TOOLTIP_COMMANDS.map(([label, command]) => `[${label}](command:${command})`).join(" · "),
  ].join("\n\n");
}

type Row = readonly [label: string, value: string];

function energyRows(energy: SessionEnergy): Row[] {
  const { savedJ, baselineEnergyJ, layersTotal } = energy;
  return [
    ["Session energy", energyWithProvenance(energy)],
    ["Since", formatTime(energy.startedAt)],
    [
      "Saved",
      `${formatJoules(savedJ)} (${formatShare(savedJ, baselineEnergyJ)}) against ${BASELINE}, modelled`,
    ],
    ["Spent on text not accepted", formatJoules(energy.wastedJ)],
    ["By phase, modelled", phases(energy)],
    ["Completions", `${energy.offered} offered, ${energy.accepted} accepted`],
    ["Characters", `${energy.offeredChars} offered, ${energy.acceptedChars} accepted`],
    [
      "Requests",
      `${energy.requests} computed, ${energy.reused} reused, ${energy.skipped} not asked`,
    ],
    ["Mean exit layer", formatExitLayer(energy.meanExitLayer, layersTotal)],
    ["Newest completion", newest(energy)],
    ["Green mode", `${energy.greenMode} of 100`],
  ];
}

function statusRows(status: Status | null): Row[] {
  if (status === null) return [];
  const rows: (readonly [string, string | null])[] = [
    ["Model", status.model],
    ["Runs on", status.device],
    ["Meter", status.meter],
  ];
  return rows.flatMap(([label, value]) => (value === null ? [] : [[label, value] as const]));
}

function energyWithProvenance({ energyJ, provenance, source }: SessionEnergy): string {
  if (energyJ === null) return "not known yet";
  const how = source === null ? provenance : `${provenance}: ${source}`;
  return `${formatJoules(energyJ)} (${formatWattHours(energyJ)}), ${how}`;
}

function phases(energy: SessionEnergy): string {
  return [
    `prefill ${formatJoules(energy.prefillJ)}`,
    `decode ${formatJoules(energy.decodeJ)}`,
    `policy ${formatJoules(energy.policyJ)}`,
    `verification ${formatJoules(energy.verificationJ)}`,
  ].join(", ");
}

function newest({
  lastMeanExitLayer,
  layersTotal,
  lastEnergyJ,
  lastElapsedS,
}: SessionEnergy): string {
  const time = lastElapsedS === null ? "" : `, ${lastElapsedS.toFixed(1)} s`;
  return `${formatJoules(lastEnergyJ)}${time}, mean exit layer ${formatExitLayer(lastMeanExitLayer, layersTotal)}`;
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(([label, value]) => `| ${label} | ${escapeMarkdown(value)} |`);
  return ["| | |", "|:--|:--|", ...lines].join("\n");
}

/** Sentences of the server may hold paths and model names; none of them is markup. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]#!|<>~]/g, "\\$&").replace(/\r?\n/g, " ");
}
