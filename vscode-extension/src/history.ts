/** The energy ledger in words, as rows of a table, as CSV and as JSON. Pure; draws nothing. */

import {
  BASELINE,
  formatDuration,
  formatGrams,
  formatJoules,
  formatProvenance,
  formatShare,
  formatTime,
  formatWattHours,
  formatWithin,
} from "./format";
import type { HistoryResult, PeriodEnergy, Span } from "./protocol";
import { t } from "./words";

/** The phases that joules are booked under, with words for people. */
export const PHASES = [
  { key: "prefillJ", name: t("reading your code") },
  { key: "decodeJ", name: t("writing") },
  { key: "verificationJ", name: t("checking drafts") },
  { key: "policyJ", name: t("deciding when to stop") },
] as const;

/** One bar of the chart, and one row of the table below it. */
export interface HistoryRow {
  readonly name: string;
  /** Joules by phase, in the order of `PHASES`; unknown is 0, because nothing of it can be drawn. */
  readonly phasesJ: readonly number[];
  /** The same in words. */
  readonly phases: readonly string[];
  /** In the order of `COLUMNS`. */
  readonly cells: readonly string[];
}

export const COLUMNS = [
  t("Spent"),
  t("Saved"),
  t("Not kept"),
  t("Kept characters"),
  t("Joules each"),
  t("Requests"),
] as const;

const SPANS: Record<Span, string> = {
  hour: t("hour"),
  day: t("day"),
  session: t("session"),
  language: t("language"),
};

/** What the page shows, ready to be shown. */
export interface HistoryPage {
  /** What a row is of, such as "day". */
  readonly by: string;
  readonly summary: readonly string[];
  readonly phases: readonly string[];
  readonly columns: readonly string[];
  readonly rows: readonly HistoryRow[];
  /** The chart in one sentence, for who cannot see it. */
  readonly label: string;
}

/** Everything that the page shows. */
export function historyPage(by: Span, result: HistoryResult): HistoryPage {
  const rows = result.periods.map((period) => rowOf(by, period));
  return {
    by: SPANS[by],
    summary: summaryOf(result),
    phases: PHASES.map(({ name }) => name),
    columns: COLUMNS,
    rows,
    label: t(
      "Energy by {0}: {1}",
      SPANS[by],
      rows.map(({ name, cells }) => `${name} ${cells[0] ?? ""}`).join(", "),
    ),
  };
}

/** All figures as CSV, one line a period; what reading the workspace took in it stands last. */
export function toCsv({ periods, projects }: HistoryResult): string {
  const [first] = periods;
  if (first === undefined) return "";
  const names = Object.keys(first) as (keyof PeriodEnergy)[];
  const readingJ = new Map(projects.map(({ key, energyJ }) => [key, energyJ]));
  const lines = periods.map((period) =>
    [...names.map((name) => period[name]), readingJ.get(period.key) ?? null].map(quote).join(","),
  );
  return [[...names, "projectsJ"].join(","), ...lines, ""].join("\n");
}

/** All figures as JSON, with what savings are measured against. */
export function toJson(by: Span, result: HistoryResult): string {
  return `${JSON.stringify({ by, baseline: BASELINE, ...result }, undefined, 2)}\n`;
}

function summaryOf(result: HistoryResult): string[] {
  const { total, carbonGPerKwh, carbonSource } = result;
  if (total === null) return [t("Nothing was computed in this time."), ...readingOf(result)];
  const { energyJ, savedJ, savedLowJ, savedHighJ, baselineEnergyJ } = total;
  const { wastedJ, acceptedChars, provenance } = total;
  const each = perCharacter(total);
  return [
    energyJ === null
      ? t("Spent: not known.")
      : t(
          "Spent {0} ({1}), {2}.",
          formatJoules(energyJ),
          formatWattHours(energyJ),
          formatProvenance(provenance),
        ),
    ...(savedJ === null || baselineEnergyJ === null || savedJ <= 0
      ? []
      : [
          t(
            "Saved {0}, {1}, against {2}, modelled.",
            formatWithin(savedJ, savedLowJ, savedHighJ),
            formatShare(savedJ, baselineEnergyJ),
            t(BASELINE),
          ),
        ]),
    each === null
      ? t("Kept {0} characters.", acceptedChars)
      : t("Kept {0} characters, {1} each.", acceptedChars, formatJoules(each)),
    ...(wastedJ === null
      ? []
      : [t("{0} went into suggestions that were not kept.", formatJoules(wastedJ))]),
    ...(energyJ === null || carbonGPerKwh === null
      ? []
      : [
          t(
            "{0} of CO2 equivalents: {1} g per kWh, {2}.",
            formatGrams((energyJ / 3.6e6) * carbonGPerKwh),
            Math.round(carbonGPerKwh),
            carbonSource ?? "",
          ),
        ]),
    ...readingOf(result),
    ...restOf(result),
  ];
}

/** What it took to read the files of workspaces, which is no request's. */
function readingOf({ projectsJ }: HistoryResult): string[] {
  if (projectsJ === null) return [];
  return [t("Beside that {0} to read the workspace, modelled.", formatJoules(projectsJ))];
}

/** What a model that waits takes beside all that: its energy an hour, where a calibration has measured it. */
function restOf({ restS, restW, restOfModelW }: HistoryResult): string[] {
  if (restS < 60) return [];
  const time = formatDuration(restS);
  if (restW === null) {
    return [
      t(
        "Beside that the loaded model rested for {0}; `green-code calibrate` measures what that takes.",
        time,
      ),
    ];
  }
  const all = t(
    "Beside that the loaded model rested for {0}: all metered parts took {1}, which is {2} an hour, as calibrated.",
    time,
    formatJoules(restS * restW),
    formatJoules(3600 * restW),
  );
  if (restOfModelW === null || restOfModelW <= 0) return [all];
  return [all, t("Without the model it would be {0} less.", formatJoules(restS * restOfModelW))];
}

function rowOf(by: Span, period: PeriodEnergy): HistoryRow {
  const { energyJ, savedJ, savedLowJ, savedHighJ, wastedJ, acceptedChars, requests } = period;
  return {
    name: nameOf(by, period.key),
    phasesJ: PHASES.map(({ key }) => period[key] ?? 0),
    phases: PHASES.map(({ key }) => formatJoules(period[key])),
    cells: [
      formatJoules(energyJ),
      formatWithin(savedJ, savedLowJ, savedHighJ),
      formatJoules(wastedJ),
      String(acceptedChars),
      formatJoules(perCharacter(period)),
      String(requests),
    ],
  };
}

function perCharacter({ energyJ, acceptedChars }: PeriodEnergy): number | null {
  return energyJ === null || acceptedChars === 0 ? null : energyJ / acceptedChars;
}

function nameOf(by: Span, key: string): string {
  if (by === "session") return key.slice(0, 8);
  if (by === "hour" && /^\d{4}-\d\d-\d\d \d\d:00$/.test(key))
    return formatTime(key.replace(" ", "T"));
  return key === "" || key === "unknown" ? t("unknown") : key;
}

/** A cell of CSV; one that a spreadsheet would take for a formula is none of ours. */
function quote(value: string | number | null): string {
  const text = String(value ?? "");
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
