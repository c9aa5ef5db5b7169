// The page of the history: asks the extension for the ledger, and shows it as bars and as a table.

import "uplot/dist/uPlot.min.css";
import "./history.css";
import { element, find } from "./elements.js";
import { showChart } from "./historyChart.js";

// @ts-expect-error: VS Code defines this function in the page
const vscode = acquireVsCodeApi();

/** @param {string} id */
const chosen = (id) => /** @type {HTMLSelectElement} */ (find(id)).value;

for (const id of ["by", "days"]) find(id).addEventListener("change", () => ask());
find("refresh").addEventListener("click", () => ask());
for (const action of ["csv", "json", "clear"]) {
  find(action).addEventListener("click", () => ask(action));
}
window.addEventListener("message", (event) => show(event.data));
ask();

/** @param {string} [action] */
function ask(action) {
  vscode.postMessage({ by: chosen("by"), days: Number(chosen("days")), action });
}

/** @param {{ error?: string } & import("../src/history").HistoryPage} content */
function show(content) {
  const isEmpty = content.error !== undefined || content.rows.length === 0;
  const sentences = content.error === undefined ? content.summary : [content.error];
  find("summary").replaceChildren(...sentences.map((sentence) => element("li", sentence)));
  for (const id of ["figure", "table"]) find(id).toggleAttribute("hidden", isEmpty);
  if (isEmpty) return;
  showChart(content);
  const titles = [content.by, ...content.columns, ...content.phases];
  find("head").replaceChildren(...titles.map((title) => header(title, "col")));
  find("rows").replaceChildren(...content.rows.toReversed().map(tableRow));
}

/** @param {import("../src/history").HistoryRow} row */
function tableRow({ name, cells, phases }) {
  const line = document.createElement("tr");
  line.append(header(name, "row"), ...[...cells, ...phases].map((cell) => element("td", cell)));
  return line;
}

/**
 * @param {string} text
 * @param {string} scope
 */
function header(text, scope) {
  const cell = element("th", text);
  cell.setAttribute("scope", scope);
  return cell;
}
