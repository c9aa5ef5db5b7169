/** A day of the energy ledger in words. Pure; draws nothing. */

import { BASELINE, formatJoules, formatShare } from "./format";
import type { DayEnergy } from "./protocol";

/** A day as the list shows it; what was saved stands beside what it was saved against. */
export function describeDay(day: DayEnergy): {
  label: string;
  description: string;
  detail: string;
} {
  const { energyJ, savedJ, baselineEnergyJ } = day;
  return {
    label: day.day,
    description:
      energyJ === null ? "energy not known" : `${formatJoules(energyJ)}, ${day.provenance}`,
    detail: [
      `saved ${formatJoules(savedJ)} (${formatShare(savedJ, baselineEnergyJ)}) against ${BASELINE}, modelled`,
      `${day.requests} computed, ${day.reused} reused`,
      `${day.accepted} accepted (${day.acceptedChars} characters)`,
    ].join(" · "),
  };
}
