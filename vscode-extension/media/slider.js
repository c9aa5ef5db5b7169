// The page of the slider view: shows what the extension sends, and sends back the slider's value.

import "./slider.css";
import { element, find, shape } from "./elements.js";

/** @typedef {{ greenMode: number, energyPercent: number, keptPercent: number }} Point */
/** @typedef {[string, string][]} Lines */
/** @typedef {{ greenMode: number, meanings: string[], points: Point[], measured: Point[], curveNote: string, sessionPercent: number | null, words: { title: string, session: string }, spoken: string[], notice: string, isMissing: boolean, session: Lines, details: Lines, exitLayer: string }} State */

// @ts-expect-error: VS Code defines this function in the page
const vscode = acquireVsCodeApi();
/** The plot inside the picture, and the least text kept that it shows, in percent. */
const PLOT = { left: 38, top: 8, bottom: 140, leastKept: 60 };

const slider = /** @type {HTMLInputElement} */ (find("green-mode"));
const curve = find("curve");

/** @type {State | undefined} */
let state;

slider.addEventListener("input", () => showGreenMode(Number(slider.value)));
slider.addEventListener("change", () => vscode.postMessage({ greenMode: Number(slider.value) }));
new ResizeObserver(() => showGreenMode(Number(slider.value))).observe(curve);
for (const [id, command] of [
  ["install", "greenCode.installServer"],
  ["history", "greenCode.showHistory"],
]) {
  find(String(id)).addEventListener("click", () => vscode.postMessage({ command }));
}

window.addEventListener("message", (event) => {
  /** @type {State} */
  const next = event.data;
  state = next;
  slider.value = String(next.greenMode);
  find("welcome").toggleAttribute("hidden", !next.isMissing);
  find("notice").toggleAttribute("hidden", next.notice === "" || next.isMissing);
  find("notice").textContent = next.notice;
  find("curve-title").textContent = next.words.title;
  find("curve-note").textContent = next.curveNote;
  find("nothing").toggleAttribute("hidden", next.session.length > 0);
  find("more").toggleAttribute("hidden", next.details.length === 0);
  find("session").replaceChildren(...next.session.map(lineOf));
  find("details").replaceChildren(...next.details.map(lineOf));
  find("exits").toggleAttribute("hidden", next.exitLayer === "");
  find("exit-layer").textContent = next.exitLayer;
  showGreenMode(next.greenMode);
});

vscode.postMessage({ ready: true });

/** @param {number} greenMode */
function showGreenMode(greenMode) {
  if (state === undefined) return;
  const meaning = state.meanings[greenMode] ?? "";
  find("value").textContent = String(greenMode);
  find("meaning").textContent = meaning.replaceAll(" %", "\u00A0%");
  slider.setAttribute("aria-valuetext", `${greenMode}: ${meaning}`);
  draw(state, greenMode);
}

/**
 * Energy over text kept: what was measured, where the slider is, and how much the session takes.
 *
 * @param {State} shown
 * @param {number} greenMode
 */
function draw({ points, measured, sessionPercent, words: said, spoken }, greenMode) {
  const { left, top, bottom, leastKept } = PLOT;
  const width = curve.clientWidth;
  const right = width - 10;
  curve.setAttribute("viewBox", `0 0 ${width} ${curve.clientHeight}`);
  /** @param {Point} point */
  const x = ({ keptPercent }) =>
    left + ((keptPercent - leastKept) / (100 - leastKept)) * (right - left);
  const now = points[greenMode];
  const line = points.map((point) => `${x(point)},${y(point.energyPercent)}`).join(" ");
  const parts = [
    shape("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }),
    shape("line", { class: "axis", x1: left, x2: left, y1: top, y2: bottom }),
    ...[0, 50, 100].map((energy) => label(`${energy} %`, left - 4, y(energy) + 3, "end")),
    label(`${leastKept} %`, left, bottom + 13, "middle"),
    label("100 %", right, bottom + 13, "end"),
    shape("polyline", { class: "line", points: line }),
    ...measured.flatMap((point) => [
      shape("circle", { class: "measured", cx: x(point), cy: y(point.energyPercent), r: 2.5 }),
      label(String(point.greenMode), x(point) - 6, y(point.energyPercent) - 5, "end"),
    ]),
  ];
  if (sessionPercent !== null && sessionPercent <= 100) {
    const height = y(sessionPercent);
    // Below its line, but for a low one: there are the curve's own words.
    const words = label(said.session, left + 6, sessionPercent < 50 ? y(70) : height + 13, "start");
    words.setAttribute("class", "session");
    parts.push(
      shape("line", { class: "session", x1: left, x2: right, y1: height, y2: height }),
      words,
    );
  }
  if (now !== undefined) {
    parts.push(shape("circle", { class: "now", cx: x(now), cy: y(now.energyPercent), r: 6 }));
  }
  curve.replaceChildren(...parts);
  curve.setAttribute("aria-label", spoken[greenMode] ?? "");
}

/** @param {number} energyPercent */
function y(energyPercent) {
  const { top, bottom } = PLOT;
  return bottom - (energyPercent / 100) * (bottom - top);
}

/** @param {[string, string]} line */
function lineOf([name, value]) {
  const line = document.createElement("div");
  line.append(element("dt", name), element("dd", value));
  return line;
}

/**
 * @param {string} text
 * @param {number} left
 * @param {number} top
 * @param {string} anchor
 */
function label(text, left, top, anchor) {
  const made = shape("text", { x: left, y: top, "text-anchor": anchor });
  made.textContent = text;
  return made;
}
