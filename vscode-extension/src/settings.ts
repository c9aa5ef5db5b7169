/**
 * The settings that the extension itself reads, and the one place that writes settings.
 *
 * The server gets its settings through workspace/didChangeConfiguration, straight from the editor.
 */

import { homedir } from "node:os";
import * as vscode from "vscode";
import { GREEN_MODE_MAX } from "./greenMode";
import { switchesOf, withLanguage, type LanguageSwitches } from "./languages";

export const SECTION = "greenCode";

/** What the extension needs to know; the rest is the server's. */
export interface ExtensionSettings {
  readonly enable: boolean;
  readonly greenMode: number;
  readonly languages: LanguageSwitches;
  readonly country: string;
  readonly model: string;
  readonly interpreter: string;
  /** Whether a Python that the person has chosen for their code is looked at. */
  readonly usesChosenPython: boolean;
  readonly serverCommand: readonly string[];
}

/** Reads the settings in force; a value of the wrong type counts as not set. */
export function readSettings(): ExtensionSettings {
  const section = vscode.workspace.getConfiguration(SECTION);
  const greenMode = section.get<unknown>("greenMode");
  const model = section.get<unknown>("model");
  const country = section.get<unknown>("country");
  const interpreter = section.get<unknown>("interpreter");
  const serverCommand = section.get<unknown>("serverCommand");
  return {
    enable: section.get<unknown>("enable") !== false,
    greenMode: isGreenMode(greenMode) ? greenMode : defaultGreenMode(section),
    languages: switchesOf(section.get<unknown>("languages")),
    country: typeof country === "string" ? country.trim() : "",
    model: typeof model === "string" ? model.trim() : "",
    interpreter: typeof interpreter === "string" ? withHome(interpreter.trim()) : "",
    usesChosenPython: section.get<unknown>("importStrategy") === "fromEnvironment",
    serverCommand: isStrings(serverCommand) ? serverCommand : [],
  };
}

/** Writes `greenCode.greenMode`. */
export async function writeGreenMode(greenMode: number): Promise<void> {
  await write("greenMode", greenMode);
}

/** Writes `greenCode.enable`. */
export async function writeEnable(enable: boolean): Promise<void> {
  await write("enable", enable);
}

/** Writes one language into `greenCode.languages`. */
export async function writeLanguage(language: string, isOn: boolean): Promise<void> {
  const raw = vscode.workspace.getConfiguration(SECTION).get<unknown>("languages");
  await write("languages", withLanguage(raw, language, isOn));
}

/** Writes `greenCode.model`. */
export async function writeModel(model: string): Promise<void> {
  await write("model", model);
}

/** True where somebody has set `greenCode.model`. */
export function isModelChosen(): boolean {
  const { globalValue, workspaceValue, workspaceFolderValue } =
    vscode.workspace.getConfiguration(SECTION).inspect("model") ?? {};
  return [globalValue, workspaceValue, workspaceFolderValue].some((value) => value !== undefined);
}

/** True for a whole number from 0 to 100. */
export function isGreenMode(value: unknown): value is number {
  return Number.isInteger(value) && 0 <= (value as number) && (value as number) <= GREEN_MODE_MAX;
}

/** Writes where the setting is already defined: a workspace value would hide a user value. */
async function write(
  name: string,
  value: number | boolean | string | Readonly<Record<string, unknown>>,
): Promise<void> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const inWorkspace = section.inspect(name)?.workspaceValue !== undefined;
  await section.update(
    name,
    value,
    inWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global,
  );
}

function defaultGreenMode(section: vscode.WorkspaceConfiguration): number {
  return section.inspect<number>("greenMode")?.defaultValue ?? 0;
}

/** People write `~` as their shell reads it; programs are started without one. */
function withHome(path: string): string {
  return path.replace(/^~(?=$|[/\\])/, () => homedir());
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
