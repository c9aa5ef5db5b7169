/**
 * What a position of the slider means, from what was measured. Pure; draws nothing.
 *
 * The figures are those of the first table of results in the repository's README; tests/test_protocol_mirror.py compares them.
 */

import { t } from "./words";

export const GREEN_MODE_MAX = 100;

/** What was measured at one position. */
export interface Measured {
  readonly greenMode: number;
  /** Of the energy of decoding, against full depth with KV cache. */
  readonly savedPercent: number;
  /** Of the text that would have been kept. */
  readonly lostPercent: number;
}

export const MEASURED: readonly Measured[] = [
  { greenMode: 0, savedPercent: 51, lostPercent: 0 },
  { greenMode: 20, savedPercent: 83, lostPercent: 2 },
  { greenMode: 50, savedPercent: 87, lostPercent: 12 },
  { greenMode: 80, savedPercent: 92, lostPercent: 19 },
  { greenMode: 100, savedPercent: 96, lostPercent: 30 },
];

/** The model and the precision that they were measured with. */
export const MEASURED_MODEL = "smollm2-135m";

/** Positions with a name. */
export const PRESETS = [
  { name: "Lossless", greenMode: 0 },
  { name: "Quality", greenMode: 20 },
  { name: "Balanced", greenMode: 50 },
  { name: "Eco", greenMode: 80 },
  { name: "Greenest", greenMode: 100 },
] as const;

/** One or two sentences about a position from 0 to 100. */
export function meaningOf(greenMode: number): string {
  if (greenMode === 0) {
    return `${t("Lossless: exactly the text of the whole model.")} ${figuresOf(0)}`;
  }
  return `${character(greenMode)} ${figuresOf(greenMode)}`;
}

/** What was measured at the nearest position, as one sentence. */
export function figuresOf(greenMode: number): string {
  const distance = (measured: Measured): number => Math.abs(measured.greenMode - greenMode);
  const nearest = MEASURED.reduce((best, next) => (distance(next) < distance(best) ? next : best));
  const { greenMode: position, savedPercent, lostPercent } = nearest;
  return lostPercent === 0
    ? t("Measured at {0}: {1} % of decode energy saved, no kept text lost.", position, savedPercent)
    : t(
        "Measured at {0}: {1} % of decode energy saved, {2} % kept text lost.",
        position,
        savedPercent,
        lostPercent,
      );
}

function character(greenMode: number): string {
  if (greenMode < 40) return t("Quality: stops early where going on is hardly worth it.");
  if (greenMode < 70) return t("Balanced: some text that would have been kept is lost.");
  if (greenMode < 90) return t("Eco: short suggestions, and some good ones lost.");
  return t("Greenest: the shortest suggestions, and more good ones lost.");
}

/** A place on the energy-quality curve, in percent of full depth. */
export interface CurvePoint {
  readonly greenMode: number;
  readonly energyPercent: number;
  /** Of the text that would have been kept. */
  readonly keptPercent: number;
}

/** Where a position lies on the curve: on a line between what was measured, and at its end beyond. */
export function pointAt(greenMode: number): CurvePoint {
  const after = MEASURED.findIndex((measured) => measured.greenMode >= greenMode);
  const right = MEASURED[after] ?? MEASURED.at(-1);
  const left = MEASURED[Math.max(0, after - 1)] ?? right;
  if (left === undefined || right === undefined) throw new Error("nothing was measured");
  const span = right.greenMode - left.greenMode;
  const share = after < 1 || span === 0 ? 1 : (greenMode - left.greenMode) / span;
  const between = (from: number, to: number): number => from + share * (to - from);
  return {
    greenMode,
    energyPercent: 100 - between(left.savedPercent, right.savedPercent),
    keptPercent: 100 - between(left.lostPercent, right.lostPercent),
  };
}
