/**
 * The settings that the extension itself reads, and the one place that writes settings.
 *
 * The server gets its settings through workspace/didChangeConfiguration, straight from the editor.
 */

import * as vscode from "vscode";

export const SECTION = "greenCode";
export const GREEN_MODE_MAX = 100;

/** What the extension needs to know; the rest is the server's. */
export interface ExtensionSettings {
  readonly enable: boolean;
  readonly greenMode: number;
  readonly interpreter: string;
  readonly serverCommand: readonly string[];
}

/** Reads the settings in force; a value of the wrong type counts as not set. */
export function readSettings(): ExtensionSettings {
  const section = vscode.workspace.getConfiguration(SECTION);
  const greenMode = section.get<unknown>("greenMode");
  const interpreter = section.get<unknown>("interpreter");
  const serverCommand = section.get<unknown>("serverCommand");
  return {
    enable: section.get<unknown>("enable") !== false,
    greenMode: isGreenMode(greenMode) ? greenMode : defaultGreenMode(section),
    interpreter: typeof interpreter === "string" ? interpreter.trim() : "",
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

/** True for a whole number from 0 to 100. */
export function isGreenMode(value: unknown): value is number {
  return Number.isInteger(value) && 0 <= (value as number) && (value as number) <= GREEN_MODE_MAX;
}

/** Writes where the setting is already defined: a workspace value would hide a user value. */
async function write(name: string, value: number | boolean): Promise<void> {
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

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
