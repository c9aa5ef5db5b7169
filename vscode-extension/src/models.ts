/** Which model: the quick pick of those that this machine may run, and the one time that it is offered unasked. */

import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { COMMAND } from "./commandIds";
import { formatBytes } from "./format";
import { pick } from "./pick";
import type { ModelChoice } from "./protocol";
import { isModelChosen, readSettings, writeModel } from "./settings";

const OFFERED = "greenCode.offeredModels";
const { t } = vscode.l10n;

interface ModelItem extends vscode.QuickPickItem {
  /** Undefined opens the settings, where any other may be named. */
  readonly model?: string;
}

/** Lets a person choose a model; false where no server answers. */
export async function chooseModel(client: ServerClient): Promise<boolean> {
  const answer = client.models();
  const current = readSettings().model;
  const items = answer.then((result) => itemsOf(result?.models ?? [], current));
  const picked = await pick<ModelItem>(items, ({ model }) => model === current, {
    title: t("Choose a model"),
    placeHolder: t("Predicted for this machine; both sides: before the cursor and behind it"),
  });
  if (picked?.model !== undefined) {
    if (picked.model !== current) await writeModel(picked.model);
  } else if (picked !== undefined) {
    const setting = "@id:greenCode.model";
    await vscode.commands.executeCommand("workbench.action.openSettings", setting);
  }
  return (await answer) !== undefined;
}

/**
 * The entries: what runs well first, led by what is advised, then what does not, with the reason. The model in use is
 * among them, known or not: a list begins there, and Enter alone must fetch nothing.
 */
export function itemsOf(models: readonly ModelChoice[], current: string): ModelItem[] {
  const well = models
    .filter(({ whyNot }) => whyNot === "")
    .toSorted((left, right) => Number(right.isAdvised) - Number(left.isAdvised));
  const badly = models.filter(({ whyNot }) => whyNot !== "");
  const separator = (label: string): ModelItem => ({
    label,
    kind: vscode.QuickPickItemKind.Separator,
  });
  const isKnown = models.some(({ name }) => name === current);
  return [
    ...(isKnown ? [] : [separator(t("In use")), { label: current, model: current }]),
    separator(t("Runs well")),
    ...well.map((model) => itemOf(model, current)),
    ...(badly.length === 0 ? [] : [separator(t("Slow or too large here"))]),
    ...badly.map((model) => itemOf(model, current)),
    separator(t("Any other")),
    { label: t("Name another in the settings…") },
  ];
}

/** Short enough for the list: the editor cuts what is longer. */
function itemOf(model: ModelChoice, current: string): ModelItem {
  const { name, licence, isAdvised, downloadBytes, runningBytes, tokenMs, whyNot } = model;
  const words = [...(isAdvised ? [t("advised")] : []), ...(name === current ? [t("in use")] : [])];
  return {
    label: `${isAdvised ? "$(star-full) " : ""}${name}`,
    description: [...words, licence].join(", "),
    detail: [
      whyNot === "" ? t("about {0} ms a token", Math.max(1, Math.round(tokenMs))) : whyNot,
      t("{0} to fetch", formatBytes(downloadBytes)),
      t("{0} of memory", formatBytes(runningBytes)),
      model.readsBothSides ? t("reads both sides") : t("reads one side"),
      ...(model.lacksTorch ? [t("needs PyTorch")] : []),
    ].join(", "),
    model: name,
  };
}

/** Once, after the first suggestion that was accepted, and only to who has chosen no model. */
export function offerModels(client: ServerClient, memory: vscode.Memento): vscode.Disposable {
  const subscription = client.onDidChange(({ energy, status }) => {
    if ((energy?.accepted ?? 0) === 0 || status?.remote !== null) return;
    subscription.dispose();
    if (memory.get(OFFERED) !== true && !isModelChosen()) void offer(memory);
  });
  return subscription;
}

async function offer(memory: vscode.Memento): Promise<void> {
  await memory.update(OFFERED, true);
  const choose = t("Choose a Model");
  const chosen = await vscode.window.showInformationMessage(
    t(
      "Green Code's default model is small and reads only what is before the cursor. Another may suit this machine better.",
    ),
    choose,
  );
  if (chosen === choose) await vscode.commands.executeCommand(COMMAND.chooseModel);
}
