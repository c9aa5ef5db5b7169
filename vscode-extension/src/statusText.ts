/**
 * What the status bar says: text, tooltip and severity from the newest messages. Pure; draws nothing.
 *
 * The tooltip's first line is how things are and why. Every joule stands beside how it was had; what was saved, beside
 * what it was saved against. What is not known is left out.
 */

import { COMMAND, type CommandId } from "./commandIds";
import {
  BASELINE,
  formatDuration,
  formatJoules,
  formatProvenance,
  formatShare,
  formatTime,
  formatWattHours,
  formatWithin,
} from "./format";
import type { Remedy, SessionEnergy, Silence, Status } from "./protocol";
import type { Snapshot } from "./snapshot";
import { t } from "./words";

/** The status bar item, before it is drawn. */
export interface StatusText {
  readonly text: string;
  /** Why things are as they are; "" where all is well. */
  readonly sentence: string;
  /** Markdown. */
  readonly tooltip: string;
  readonly accessibilityLabel: string;
  readonly severity: "none" | "warning" | "error";
}

/** What the editor knows beside the server. */
export interface Here {
  /** The setting `greenCode.enable`. */
  readonly enable: boolean;
  /** The language of the open file, where completions are off for it; else "". */
  readonly languageOff: string;
  /** Completions are off for the open file alone. */
  readonly isFileOff: boolean;
  /** True where the server's newest answer was for another file, and with it what it says of a place. */
  readonly isElsewhere: boolean;
}

/** Everything that looks different. */
type Condition =
  | "installing"
  | "missing"
  | "error"
  | "unloaded"
  | "warning"
  | "disabled"
  | "busy"
  | "ready"
  | Exclude<Silence, "none">;

interface Look {
  readonly icon: string;
  /** Behind the name; "" shows the session's energy. */
  readonly text: string;
  readonly words: string;
  readonly severity?: "warning" | "error";
  /** What helps, before the links that are always there. */
  readonly links?: readonly Link[];
}

/** What is said where a person has switched off one file. */
export const FILE_OFF = t("Completions are off for this file.");

type Link = readonly [label: string, command: CommandId];

const WAKE_UP: Link = [t("Wake up"), COMMAND.wakeUp];
const SHOW_LOG: Link = [t("Show log"), COMMAND.showLog];
const REMEDIES: Readonly<Record<Remedy, readonly Link[]>> = {
  none: [],
  torch: [[t("Add PyTorch"), COMMAND.addTorch]],
  restart: [[t("Restart server"), COMMAND.restart]],
};
const LEAF = "$(green-code-leaf)";
const CLOUD = "$(cloud)"; // in the leaf's place where text leaves the machine

const LOOKS: Record<Condition, Look> = {
  installing: { icon: "$(sync~spin)", text: t("installing"), words: t("installing the server") },
  missing: {
    icon: "$(cloud-download)",
    text: t("install"),
    words: t("to be installed"),
    links: [[t("Install server"), COMMAND.installServer]],
  },
  error: {
    icon: "$(error)",
    text: "",
    words: t("not working"),
    severity: "error",
    links: [SHOW_LOG, [t("Repair server"), COMMAND.repairServer]],
  },
  unloaded: {
    icon: "$(error)",
    text: "",
    words: t("not working"),
    severity: "error",
    links: [[t("Choose a model"), COMMAND.chooseModel], SHOW_LOG],
  },
  warning: {
    icon: "$(warning)",
    text: "",
    words: t("working, with a warning"),
    severity: "warning",
    links: [SHOW_LOG],
  },
  disabled: {
    icon: "$(circle-slash)",
    text: t("off"),
    words: t("completions are switched off"),
    links: [[t("Switch on"), COMMAND.enable]],
  },
  off: { icon: "$(circle-slash)", text: t("off here"), words: t("completions are off here") },
  snoozed: { icon: "$(bell-slash)", text: t("snoozed"), words: t("snoozed"), links: [WAKE_UP] },
  paused: { icon: "$(debug-pause)", text: t("paused"), words: t("paused") },
  private: { icon: "$(lock)", text: t("private file"), words: t("this file stays private") },
  skipped: { icon: "$(circle-outline)", text: "", words: t("ready") },
  nothing: { icon: "$(circle-outline)", text: "", words: t("ready") },
  busy: { icon: "$(loading~spin)", text: "", words: t("working") },
  ready: { icon: LEAF, text: "", words: t("ready") },
};

/** What every tooltip links to. */
const LINKS: readonly Link[] = [
  [t("Green mode"), COMMAND.choosePreset],
  [t("History"), COMMAND.showHistory],
  [t("Doctor"), COMMAND.doctor],
  [t("Menu"), COMMAND.showMenu],
];

/** The commands that tooltips link to; the editor runs nothing else from them. */
export const TOOLTIP_COMMANDS: readonly CommandId[] = [
  ...new Set(
    [
      ...Object.values(LOOKS).flatMap(({ links }) => links ?? []),
      ...Object.values(REMEDIES).flat(),
      ...LINKS,
    ].map(([, command]) => command),
  ),
];

/** Renders the newest snapshot. */
export function renderStatus(snapshot: Snapshot, here: Here): StatusText {
  const condition = conditionOf(snapshot, here);
  const look = LOOKS[condition];
  const { energy, status } = snapshot;
  const remote = remoteLines(status);
  const sentence = sentenceOf(snapshot, here, condition);
  const words = `${capital(look.words)}.`;
  const figure = !energy?.energyJ ? "" : ` ${formatJoules(energy.energyJ)}`;
  return {
    text: `${condition === "ready" && remote.length > 0 ? CLOUD : look.icon} Green Code${look.text === "" ? figure : `: ${look.text}`}`,
    sentence,
    tooltip: renderTooltip(snapshot, look, sentence),
    accessibilityLabel: [
      `Green Code: ${look.words}.`,
      ...(sentence === "" || sentence === words ? [] : [sentence]),
      ...remote,
      ...(figure === ""
        ? []
        : [
            t(
              "The session has taken {0}, {1}.",
              figure.trim(),
              formatProvenance(energy?.provenance ?? ""),
            ),
          ]),
    ].join(" "),
    severity: look.severity ?? "none",
  };
}

function conditionOf({ server, installing, status }: Snapshot, here: Here): Condition {
  if (installing !== "") return "installing";
  if (server.phase === "missing") return "missing";
  if (server.phase === "stopped") return "error";
  if (!here.enable) return "disabled";
  if (server.phase === "starting" || status === null) return "busy";
  if (status.health === "error") return "unloaded";
  if (status.health === "warning") return "warning";
  if (here.isFileOff || here.languageOff !== "") return "off";
  const { silence } = status;
  if (silence === "snoozed" || silence === "paused") return silence;
  if (!status.quiescent) return "busy";
  return silence === "none" || here.isElsewhere ? "ready" : silence;
}

/** Why things are as they are: the newest sentence there is; "" where all is well. */
function sentenceOf(
  { server, installing, status }: Snapshot,
  { languageOff, isFileOff }: Here,
  condition: Condition,
): string {
  if (condition === "installing") return t("The server is being installed: {0}.", installing);
  if (condition === "disabled") return t("Completions are switched off.");
  if (condition === "off" && isFileOff) return FILE_OFF;
  if (condition === "off" && languageOff !== "")
    return t("Completions are off for {0}.", languageOff);
  const reason = condition === "ready" ? "" : (status?.message ?? "");
  return reason === "" ? server.message : reason; // that it once stopped is older than any reason
}

function renderTooltip({ status, energy }: Snapshot, look: Look, sentence: string): string {
  const figures =
    energy === null
      ? []
      : [
          ...(energy.requests === 0 ? [] : energyLines(energy)),
          ...projectsLines(energy),
          ...todayLines(energy),
        ];
  const first = sentence === "" ? `${capital(look.words)}.` : escapeMarkdown(sentence);
  return [
    `**Green Code:** ${first}`,
    ...figures,
    ...[...modelLines(status, energy), ...remoteLines(status)].map(escapeMarkdown),
    [...REMEDIES[status?.remedy ?? "none"], ...(look.links ?? []), ...LINKS]
      .map(([label, command]) => `[${label}](command:${command})`)
      .join(" · "),
  ].join("\n\n");
}

/** Spent, saved, kept. */
function energyLines(energy: SessionEnergy): string[] {
  return [spentLine(energy), savedLine(energy), keptLine(energy)].filter((line) => line !== "");
}

/** What the workspace's files have cost, which is nobody's request. */
function projectsLines({ projectsJ }: SessionEnergy): string[] {
  if (projectsJ === null) return [];
  return [t("**Beside that** {0} to read the workspace, modelled", formatJoules(projectsJ))];
}

/** All sessions of the day, where this one is not the only one. */
function todayLines({ energyJ, todayJ, todaySessions }: SessionEnergy): string[] {
  if (todayJ === null || todaySessions === null) return [];
  if (todaySessions === 1 && energyJ !== null && energyJ > 0) return [];
  const today = formatJoules(todayJ);
  return [
    todaySessions === 1
      ? t("**Today** {0} in 1 session, all windows", today)
      : t("**Today** {0} in {1} sessions, all windows", today, todaySessions),
  ];
}

const LAMP_WATTS = 10;

function spentLine({ energyJ, startedAt, source }: SessionEnergy): string {
  if (energyJ === null) {
    return source === null ? t("**Spent:** not known yet") : t("**Spent:** not known");
  }
  return t(
    "**Spent** {0} ({1}) since {2}: a {3} W lamp for {4}",
    formatJoules(energyJ),
    formatWattHours(energyJ),
    formatTime(startedAt),
    LAMP_WATTS,
    formatDuration(energyJ / LAMP_WATTS),
  );
}

function savedLine(energy: SessionEnergy): string {
  const { savedJ, savedLowJ, savedHighJ, baselineEnergyJ } = energy;
  if (savedJ === null || baselineEnergyJ === null) return "";
  if (savedJ <= 0) return t("**Saved** nothing yet against {0}", t(BASELINE));
  return t(
    "**Saved** {0}, {1}, against {2}, modelled",
    formatWithin(savedJ, savedLowJ, savedHighJ),
    formatShare(savedJ, baselineEnergyJ),
    t(BASELINE),
  );
}

function keptLine(energy: SessionEnergy): string {
  const { energyJ, acceptedChars, offeredChars, wastedJ, cancelled, requests } = energy;
  const each =
    acceptedChars > 0 && energyJ !== null
      ? t(", {0} each", formatJoules(energyJ / acceptedChars))
      : "";
  const wasted = wastedJ ? t("; {0} went into text not kept", formatJoules(wastedJ)) : "";
  const overtaken =
    cancelled > 0 ? t("; {0} of {1} requests overtaken by typing", cancelled, requests) : "";
  const kept = t("**Kept** {0} of {1} characters", acceptedChars, offeredChars);
  return `${kept}${each}${wasted}${overtaken}`;
}

/** What runs where, how its energy is had, and what the machine's power asks for. */
function modelLines(status: Status | null, energy: SessionEnergy | null): string[] {
  if (status === null) return [];
  const { model, device, meter, power } = status;
  const source = energy?.source ?? null;
  const meant =
    source === null ? meter : `${formatProvenance(energy?.provenance ?? "")}: ${source}`;
  const runs = device === null ? (model ?? "") : t("{0} on {1}", model ?? "", device);
  const line = meant === null ? runs : t("{0}. Energy {1}", runs, meant);
  return [model === null ? "" : line, power].filter((each) => each !== "");
}

/** Who reads what is typed, where that is not this machine alone. */
function remoteLines(status: Status | null): string[] {
  const remote = status?.remote ?? null;
  return remote === null ? [] : [t("The text around the cursor is sent to {0}.", remote)];
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Sentences of the server may hold paths and model names; none of them is markup. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]#!|<>~]/g, "\\$&").replace(/\r?\n/g, " ");
}
