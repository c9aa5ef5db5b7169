// Joules as stacked bars in the theme's colours. The table below has the same figures, for who cannot see them.

import uPlot from "uplot";
import { find } from "./elements.js";

const MOST_BARS = 60;
const WIDEST_BAR_PX = 60;
const HEIGHT_PX = 240;
const COLOURS = ["charts-blue", "charts-green", "charts-yellow", "charts-purple"];

const place = find("chart");
/** @type {uPlot | undefined} */
let chart;
let redraw = () => {};

new ResizeObserver(() => redraw()).observe(place);
// The editor writes a theme's colours there.
new MutationObserver(() => redraw()).observe(document.documentElement, {
  attributeFilter: ["style"],
});

/** @param {import("../src/history").HistoryPage} page */
export function showChart({ by, rows, phases, label }) {
  const shown = rows.slice(-MOST_BARS);
  // A bar stands on those of the phases before it. It is drawn from the ground, so the highest comes first.
  const tops = phases.map((_, phase) =>
    shown.map(({ phasesJ }) => phasesJ.slice(0, phase + 1).reduce((sum, each) => sum + each)),
  );
  const bars = uPlot.paths.bars?.({ size: [0.8, WIDEST_BAR_PX] });
  place.setAttribute("aria-label", label);
  redraw = () => {
    const axis = { stroke: colour("descriptionForeground"), ticks: { show: false } };
    const series = phases.map((name, phase) => ({
      label: name,
      fill: colour(COLOURS[phase] ?? ""),
      stroke: colour("contrastBorder", "editor-background"),
      ...(bars && { paths: bars }),
      points: { show: false },
      value: (/** @type {uPlot} */ { cursor }) => shown[cursor.idx ?? -1]?.phases[phase] ?? "",
    }));
    /** @type {uPlot.Options} */
    const options = {
      width: place.clientWidth,
      height: HEIGHT_PX,
      scales: {
        x: { time: false, range: () => [-0.5, shown.length - 0.5] },
        y: { range: (_chart, _least, most) => [0, 1.05 * most || 1] },
      },
      axes: [
        {
          ...axis,
          size: 32,
          space: 90,
          incrs: [1, 2, 5, 10, 20],
          values: (_chart, places) => places.map((at) => shown[at]?.name ?? ""),
          grid: { show: false },
        },
        {
          ...axis,
          size: 72,
          values: (_chart, joules) => joules.map(inJoules),
          grid: { stroke: colour("charts-lines"), width: 1, dash: [1, 4] },
        },
      ],
      cursor: { y: false, drag: { x: false }, points: { show: false } },
      series: [
        { label: by, value: (_chart, at) => shown[at ?? -1]?.name ?? "" },
        ...series.reverse(),
      ],
    };
    chart?.destroy();
    chart = new uPlot(options, [shown.map((_, at) => at), ...tops.toReversed()], place);
  };
  redraw();
}

/** @param {number} joules */
function inJoules(joules) {
  const { lang } = document.documentElement;
  return `${joules.toLocaleString(lang, { maximumSignificantDigits: 3 })} J`;
}

/** @param {string[]} names */
function colour(...names) {
  const style = getComputedStyle(document.documentElement);
  return names.map((name) => style.getPropertyValue(`--vscode-${name}`)).find(Boolean) ?? "gray";
}
