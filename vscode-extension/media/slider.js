// The page of the slider view: shows what the extension sends, and sends back the slider's value.

(() => {
  /** @typedef {{ greenMode: number, energy: string, saved: string, exitLayer: string }} State */

  // @ts-expect-error: VS Code defines this function in the page
  const vscode = acquireVsCodeApi();
  const slider = /** @type {HTMLInputElement} */ (document.getElementById("green-mode"));

  slider.addEventListener("input", () => showGreenMode(Number(slider.value)));
  slider.addEventListener("change", () => vscode.postMessage({ greenMode: Number(slider.value) }));

  window.addEventListener("message", (event) => {
    /** @type {State} */
    const state = event.data;
    slider.value = String(state.greenMode);
    showGreenMode(state.greenMode);
    show("energy", state.energy);
    show("saved", state.saved);
    show("exit-layer", state.exitLayer);
  });

  vscode.postMessage({ ready: true });

  /** @param {number} greenMode */
  function showGreenMode(greenMode) {
    const meaning = meaningOf(greenMode);
    show("value", String(greenMode));
    show("meaning", meaning);
    slider.setAttribute("aria-valuetext", `${greenMode}: ${meaning}`);
  }

  /** @param {number} greenMode */
  function meaningOf(greenMode) {
    if (greenMode === 0) return "Lossless: exactly the text of the whole model.";
    if (greenMode < 40)
      return "Careful: ends a suggestion early only where it is hardly worth going on.";
    if (greenMode < 70) return "Balanced: about half the energy for nearly the same useful text.";
    if (greenMode < 100) return "Saving: short suggestions, some good ones lost.";
    return "Greenest: only what is worth its energy for certain.";
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
