/** What the slider view shows, ready to be shown. Pure; draws nothing. */

import {
  BASELINE,
  formatExitLayer,
  formatJoules,
  formatProvenance,
  formatShare,
  formatWithin,
} from "./format";
import {
  GREEN_MODE_MAX,
  MEASURED,
  MEASURED_MODEL,
  meaningOf,
  pointAt,
  type CurvePoint,
} from "./greenMode";
import { PHASES } from "./history";
import type { SessionEnergy } from "./protocol";
import type { Snapshot } from "./snapshot";
import { t } from "./words";

/** A label and what stands beside it. */
export type Line = readonly [label: string, value: string];

/** The words over the curve and on it. */
export interface CurveWords {
  readonly title: string;
  readonly session: string;
}

/** Everything on the page. */
export interface SliderPage {
  readonly greenMode: number;
  /** One for each position from 0 on. */
  readonly meanings: readonly string[];
  readonly points: readonly CurvePoint[];
  readonly measured: readonly CurvePoint[];
  /** Where the figures of the curve are from. */
  readonly curveNote: string;
  /** The session's energy in percent of full depth; null while it is unknown. */
  readonly sessionPercent: number | null;
  readonly words: CurveWords;
  /** The curve in words, for who cannot see it: one for each position from 0 on. */
  readonly spoken: readonly string[];
  /** How things are, where there is something to say. */
  readonly notice: string;
  readonly isMissing: boolean;
  readonly session: readonly Line[];
  readonly details: readonly Line[];
  readonly exitLayer: string;
}

const POSITIONS = Array.from({ length: GREEN_MODE_MAX + 1 }, (_, greenMode) => greenMode);
const MEANINGS = POSITIONS.map(meaningOf);
const POINTS = POSITIONS.map(pointAt);
const SPOKEN = POINTS.map(({ energyPercent, keptPercent }) =>
  t(
    "Energy against text kept. At this position: {0} % of the energy of full depth, {1} % of the text kept.",
    Math.round(energyPercent),
    Math.round(keptPercent),
  ),
);

/** Renders the newest snapshot. */
export function sliderPage(snapshot: Snapshot, greenMode: number): SliderPage {
  const { server, installing, status, energy } = snapshot;
  const used = energy === null || energy.requests === 0 ? null : energy;
  const power = status?.power ?? "";
  // What is told of one place comes and goes with each key: here it would make the view jump.
  const isOfPlace = status?.silence === "nothing" || status?.silence === "skipped";
  const notices = [installing, isOfPlace ? "" : (status?.message ?? ""), server.message, power];
  const sessionPercent = used === null ? null : percentOf(used);
  const session = t("This session takes {0} %.", sessionPercent ?? "");
  return {
    greenMode,
    meanings: MEANINGS,
    points: POINTS,
    measured: MEASURED.map((each) => pointAt(each.greenMode)),
    curveNote: curveNote(status?.model ?? MEASURED_MODEL),
    sessionPercent,
    words: {
      title: t("Decode energy against text kept, both in % of full depth"),
      session: t("session: {0} %", sessionPercent ?? ""),
    },
    spoken: sessionPercent === null ? SPOKEN : SPOKEN.map((spoken) => `${spoken} ${session}`),
    notice: notices.find((notice) => notice !== "") ?? "",
    isMissing: server.phase === "missing" && installing === "",
    session: used === null ? [] : sessionLines(used),
    details: energy === null ? [] : detailLines(energy),
    exitLayer:
      typeof used?.meanExitLayer === "number"
        ? formatExitLayer(used.meanExitLayer, used.layersTotal)
        : "",
  };
}

function curveNote(model: string): string {
  const measured = t(
    "The points are green modes, measured with {0} in int8 on a CPU, on held-out code. They count decoding alone; your session counts reading your code too.",
    MEASURED_MODEL,
  );
  return model === MEASURED_MODEL ? measured : `${measured} ${t("{0} was not measured.", model)}`;
}

function percentOf({ savedJ, baselineEnergyJ }: SessionEnergy): number | null {
  if (savedJ === null || baselineEnergyJ === null || baselineEnergyJ <= 0) return null;
  return Math.round(100 * (1 - savedJ / baselineEnergyJ));
}

function sessionLines(energy: SessionEnergy): Line[] {
  const { energyJ, provenance, savedJ, savedLowJ, savedHighJ, baselineEnergyJ } = energy;
  const { acceptedChars, wastedJ, projectsJ } = energy;
  return [
    [
      t("Spent"),
      energyJ === null
        ? t("not known")
        : `${formatJoules(energyJ)}, ${formatProvenance(provenance)}`,
    ],
    ...(savedJ === null || savedJ <= 0
      ? []
      : ([
          [
            t("Saved against {0}, modelled", t(BASELINE)),
            `${formatWithin(savedJ, savedLowJ, savedHighJ)}, ${formatShare(savedJ, baselineEnergyJ)}`,
          ],
        ] as const)),
    [t("Characters kept"), String(acceptedChars)],
    ...(wastedJ === null ? [] : ([[t("Spent on text not kept"), formatJoules(wastedJ)]] as const)),
    ...(projectsJ === null
      ? []
      : ([[t("Beside that, to read the workspace"), formatJoules(projectsJ)]] as const)),
  ];
}

function detailLines(energy: SessionEnergy): Line[] {
  // What the server decodes with: on battery it may differ from the setting.
  const inUse: Line = [t("Green mode in use"), String(energy.greenMode)];
  if (energy.requests === 0) return [inUse];
  const phases = PHASES.flatMap(({ key, name }): Line[] =>
    energy[key] === null ? [] : [[t("For {0}", name), formatJoules(energy[key])]],
  );
  const { requests, reused, skipped, cancelled } = energy;
  return [
    inUse,
    ...phases,
    [t("Requests computed"), String(requests)],
    [t("Answered from before"), String(reused)],
    [t("Not asked for"), String(skipped)],
    [t("Overtaken by typing"), String(cancelled)],
  ];
}
