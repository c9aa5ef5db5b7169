// The page of the history: asks the extension for the ledger, and draws it as bars and as a table.

(() => {
  /** @typedef {{ name: string, phasesJ: number[], cells: string[] }} Row */
  /** @typedef {{ error?: string, by: string, summary: string[], phases: string[], columns: string[], rows: Row[], label: string }} Content */

  // @ts-expect-error: VS Code defines this function in the page
  const vscode = acquireVsCodeApi();
  const WIDTH = 800;
  const HEIGHT = 220;
  const MOST_BARS = 60;

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

  /** @param {Content} content */
  function show(content) {
    const isEmpty = content.error !== undefined || content.rows.length === 0;
    const sentences = content.error === undefined ? content.summary : [content.error];
    find("summary").replaceChildren(...sentences.map((sentence) => element("li", sentence)));
    for (const id of ["figure", "table"]) find(id).toggleAttribute("hidden", isEmpty);
    if (isEmpty) return;
    draw(content);
    find("legend").replaceChildren(...content.phases.map(legendItem));
    const titles = [content.by, ...content.columns];
    find("head").replaceChildren(...titles.map((title) => header(title, "col")));
    find("rows").replaceChildren(...content.rows.toReversed().map(tableRow));
  }

  /** @param {Content} content */
  function draw({ rows, label }) {
    const shown = rows.slice(-MOST_BARS);
    const sums = shown.map(({ phasesJ }) => phasesJ.reduce((sum, each) => sum + each, 0));
    const most = Math.max(...sums, 1e-9);
    const step = WIDTH / shown.length;
    const bars = shown.flatMap((row, index) => barOf(row, index * step, step, most));
    const axis = shape("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT });
    const names = shown
      .map((row, index) => ({ row, index }))
      .filter(({ index }) => index % Math.ceil(shown.length / 8) === 0)
      .map(({ row, index }) => {
        const text = shape("text", {
          x: index * step + step / 2,
          y: HEIGHT + 18,
          "text-anchor": "middle",
        });
        text.textContent = row.name;
        return text;
      });
    const highest = shown[sums.indexOf(most)];
    if (highest !== undefined) {
      const text = shape("text", { x: 0, y: 8 });
      text.textContent = String(highest.cells[0]);
      names.push(text);
    }
    const chart = find("chart");
    chart.setAttribute("aria-label", label);
    chart.replaceChildren(...bars, axis, ...names);
  }

  /**
   * One bar, its phases one on the other.
   *
   * @param {Row} row
   * @param {number} left
   * @param {number} step
   * @param {number} most
   */
  function barOf(row, left, step, most) {
    const width = Math.min(step * 0.8, 60);
    let top = HEIGHT;
    return row.phasesJ.map((phaseJ, phase) => {
      const height = (phaseJ / most) * (HEIGHT - 10);
      top -= height;
      const bar = shape("rect", {
        class: `bar phase${phase}`,
        x: left + (step - width) / 2,
        y: top,
        width,
        height,
      });
      const title = shape("title", {});
      title.textContent = `${row.name}: ${row.cells[0]}`;
      bar.append(title);
      return bar;
    });
  }

  /** @param {Row} row */
  function tableRow({ name, cells }) {
    const line = document.createElement("tr");
    line.append(header(name, "row"), ...cells.map((cell) => element("td", cell)));
    return line;
  }

  /**
   * @param {string} name
   * @param {number} phase
   */
  function legendItem(name, phase) {
    const item = document.createElement("li");
    const swatch = document.createElement("span");
    swatch.className = `swatch phase${phase}`;
    item.append(swatch, name);
    return item;
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
})();
