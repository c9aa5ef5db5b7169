/**
 * Figures for people: joules, watt-hours, shares, layers, times. Pure; knows nothing of the editor but its language.
 *
 * Unknown (null) is a dash, never 0.
 */

import { language, t } from "./words";

export const UNKNOWN = "–";

/** What savings are measured against; in sentences, translated. */
export const BASELINE = "full depth with KV cache";

/** How a joule was had; in sentences, translated. */
export const PROVENANCES = ["measured", "sampled", "modelled", "mixed"] as const;

const JOULES_PER_WATT_HOUR = 3600;

/** Joules with three significant digits and a fitting unit: "850 mJ", "12.4 J", "3.07 kJ". */
export function formatJoules(energyJ: number | null): string {
  return energyJ === null ? UNKNOWN : withPrefix(energyJ, "J");
}

/**
 * Joules, and between which the truth is likely to lie where that is known: "3.56 J (0.71 to 11 J)". The range has two
 * significant digits, which is more than is known of it, and stays in one line.
 */
export function formatWithin(
  energyJ: number | null,
  lowJ: number | null,
  highJ: number | null,
): string {
  const joules = formatJoules(energyJ);
  if (lowJ === null || highJ === null) return joules;
  const { prefix, factor } = scaleOf(Math.max(Math.abs(lowJ), Math.abs(highJ)));
  const [low, high] = [lowJ, highJ].map((end) =>
    (end / factor).toLocaleString(language, { maximumSignificantDigits: 2, useGrouping: false }),
  );
  const range = t("{0} to {1}", low ?? "", `${high ?? ""} ${prefix}J`);
  return `${joules} (${range.replaceAll(" ", "\u00A0")})`;
}

/** The same energy in watt-hours, for people who read electricity bills: "3.44 mWh". */
export function formatWattHours(energyJ: number | null): string {
  return energyJ === null ? UNKNOWN : withPrefix(energyJ / JOULES_PER_WATT_HOUR, "Wh");
}

/** `part` of `whole` in percent, "25 %"; unknown where there is no whole. */
export function formatShare(part: number | null, whole: number | null): string {
  if (part === null || whole === null || whole === 0) return UNKNOWN;
  return `${Math.round((100 * part) / whole)} %`;
}

/** Bytes of files and memory: "93 MB", "1.2 GB". */
export function formatBytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${decimal(bytes / 1e9, 1)} GB`;
}

/** A time in words: "32 ms", "0.4 s", "12 s", "3 min", "1.5 h". */
export function formatDuration(seconds: number): string {
  if (seconds < 0.095) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 10) return `${decimal(seconds, 1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5940) return `${Math.round(seconds / 60)} min`;
  return `${decimal(seconds / 3600, 1)} h`;
}

/** How joules were had, for people. */
export function formatProvenance(provenance: string): string {
  if (provenance === "none") return t("not known");
  return PROVENANCES.some((known) => known === provenance) ? t(provenance) : provenance;
}

/** A mean exit layer with the depth it is measured against: "18.2 of 30 layers". */
export function formatExitLayer(exitLayer: number | null, layersTotal: number | null): string {
  if (exitLayer === null || layersTotal === null) return UNKNOWN;
  return t("{0} of {1} layers", decimal(exitLayer, 1), layersTotal);
}

/** A moment of ISO 8601 in the local time and language: "28 Nov, 14:03". */
export function formatTime(moment: string): string {
  return new Date(moment).toLocaleString(language, {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  });
}

/** Grams with two significant digits, which is what is known of them, and a fitting unit: "15 µg". */
export function formatGrams(grams: number): string {
  return withPrefix(grams, "g", 2);
}

function decimal(value: number, digits: number): string {
  return value.toLocaleString(language, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: false,
  });
}

const SMALLEST = { prefix: "µ", factor: 1e-6 };
const PREFIXES = [
  { prefix: "M", factor: 1e6 },
  { prefix: "k", factor: 1e3 },
  { prefix: "", factor: 1 },
  { prefix: "m", factor: 1e-3 },
  SMALLEST,
];

function scaleOf(value: number): { readonly prefix: string; readonly factor: number } {
  return PREFIXES.find(({ factor }) => factor <= value) ?? SMALLEST;
}

function withPrefix(value: number, unit: string, significant = 3): string {
  if (value === 0) return `0 ${unit}`;
  // Rounded before the unit is chosen, so that 999.96 is "1.00 kJ" and not "1000 J".
  const rounded = Number(value.toPrecision(significant));
  const { prefix, factor } = scaleOf(Math.abs(rounded));
  const digits = Math.max(0, significant - 1 - Math.floor(Math.log10(Math.abs(rounded / factor))));
  return `${decimal(rounded / factor, Math.min(digits, 2))} ${prefix}${unit}`;
}
