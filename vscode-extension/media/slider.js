// The page of the slider view: shows what the extension sends, and sends back the slider's value.

(() => {
  /** @typedef {{ greenMode: number, meanings: string[], energy: string, saved: string, exitLayer: string }} State */

  // @ts-expect-error: VS Code defines this function in the page
  const vscode = acquireVsCodeApi();
  const slider = /** @type {HTMLInputElement} */ (document.getElementById("green-mode"));

  /** What each position means, from 0 on. @type {string[]} */
  let meanings = [];

  slider.addEventListener("input", () => showGreenMode(Number(slider.value)));
  slider.addEventListener("change", () => vscode.postMessage({ greenMode: Number(slider.value) }));

  window.addEventListener("message", (event) => {
    /** @type {State} */
    const state = event.data;
    meanings = state.meanings;
    slider.value = String(state.greenMode);
    showGreenMode(state.greenMode);
    show("energy", state.energy);
    show("saved", state.saved);
    show("exit-layer", state.exitLayer);
  });

  vscode.postMessage({ ready: true });

  /** @param {number} greenMode */
  function showGreenMode(greenMode) {
    const meaning = meanings[greenMode] ?? "";
    show("value", String(greenMode));
    show("meaning", meaning);
    slider.setAttribute("aria-valuetext", `${greenMode}: ${meaning}`);
  }

  /**
   * @param {string} id
   * @param {string} text
   */
  function show(id, text) {
    const element = document.getElementById(id);
    if (element) element.textContent = text;
  }
})();
