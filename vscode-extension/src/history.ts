/** The energy ledger in words, as rows of a table, as CSV and as JSON. Pure; draws nothing. */

import { BASELINE, formatJoules, formatShare, formatTime, formatWattHours } from "./format";
import type { HistoryResult, PeriodEnergy, Span } from "./protocol";

/** The phases that joules are booked under, with words for people. */
export const PHASES = [
  { key: "prefillJ", name: "reading your code" },
  { key: "decodeJ", name: "writing" },
  { key: "verificationJ", name: "checking drafts" },
  { key: "policyJ", name: "deciding when to stop" },
] as const;

/** One bar of the chart, and one row of the table below it. */
export interface HistoryRow {
  readonly name: string;
  /** Joules by phase, in the order of `PHASES`; unknown is 0, because nothing of it can be drawn. */
  readonly phasesJ: readonly number[];
  /** In the order of `COLUMNS`. */
  readonly cells: readonly string[];
}

export const COLUMNS = [
  "Spent",
  "Saved",
  "Not kept",
  "Kept characters",
  "Joules each",
  "Requests",
] as const;

/** What the page shows, ready to be shown. */
export interface HistoryPage {
  readonly by: Span;
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
    by,
    summary: summaryOf(result),
    phases: PHASES.map(({ name }) => name),
    columns: COLUMNS,
    rows,
    label: `Energy by ${by}: ${rows.map(({ name, cells }) => `${name} ${cells[0] ?? ""}`).join(", ")}`,
  };
}

/** All figures as CSV, one line a period. */
export function toCsv({ periods }: HistoryResult): string {
  const [first] = periods;
  if (first === undefined) return "";
  const names = Object.keys(first) as (keyof PeriodEnergy)[];
  const lines = periods.map((period) => names.map((name) => quote(period[name])).join(","));
  return [names.join(","), ...lines, ""].join("\n");
}

/** All figures as JSON, with what savings are measured against. */
export function toJson(by: Span, result: HistoryResult): string {
  return `${JSON.stringify({ by, baseline: BASELINE, ...result }, undefined, 2)}\n`;
}

function summaryOf({ total, carbonGPerKwh, carbonSource }: HistoryResult): string[] {
  if (total === null) return ["Nothing was computed in this time."];
  const { energyJ, savedJ, baselineEnergyJ, wastedJ, acceptedChars, provenance } = total;
  const each = perCharacter(total);
  return [
    energyJ === null
      ? "Spent: not known."
      : `Spent ${formatJoules(energyJ)} (${formatWattHours(energyJ)}), ${provenance}.`,
    ...(savedJ === null || baselineEnergyJ === null || savedJ <= 0
      ? []
      : [
          `Saved ${formatJoules(savedJ)} (${formatShare(savedJ, baselineEnergyJ)}) against ${BASELINE}, modelled.`,
        ]),
    `Kept ${acceptedChars} characters${each === null ? "" : `, ${formatJoules(each)} each`}.`,
    ...(wastedJ === null
      ? []
      : [`${formatJoules(wastedJ)} went into suggestions that were not kept.`]),
    ...(energyJ === null || carbonGPerKwh === null
      ? []
      : [
          `${((energyJ / 3.6e6) * carbonGPerKwh).toPrecision(2)} g of CO2 equivalents: ${Math.round(carbonGPerKwh)} g per kWh, ${carbonSource ?? ""}.`,
        ]),
  ];
}

function rowOf(by: Span, period: PeriodEnergy): HistoryRow {
  const { energyJ, savedJ, wastedJ, acceptedChars, requests } = period;
  return {
    name: nameOf(by, period.key),
    phasesJ: PHASES.map(({ key }) => period[key] ?? 0),
    cells: [
      formatJoules(energyJ),
      formatJoules(savedJ),
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
  return key === "" ? "unknown" : key;
}

/** A cell of CSV; one that a spreadsheet would take for a formula is none of ours. */
function quote(value: string | number | null): string {
  const text = String(value ?? "");
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
