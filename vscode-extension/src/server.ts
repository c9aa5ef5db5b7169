/**
 * Which command starts the server. Pure; knows nothing of the editor and starts nothing.
 *
 * The workspace never has a say: the working directory is the extension's own folder, Python runs isolated (-I),
 * and relative entries of PATH are not searched.
 */

import { dirname, isAbsolute, join } from "node:path";

/** A command ready to be spawned. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/** What the choice depends on. */
export interface ServerSources {
  /** Setting `greenCode.interpreter`; "" when not set. */
  readonly interpreter: string;
  /** The Pythons that the person has chosen for their code, where greenCode.importStrategy asks for them. */
  readonly chosenPythons: readonly string[];
  /** Setting `greenCode.serverCommand`; empty when not set. */
  readonly serverCommand: readonly string[];
  /** The environment's PATH. */
  readonly path: string;
  readonly platform: NodeJS.Platform;
  /** The environment that Install Server has made; undefined where there is none. */
  readonly managedFolder: string | undefined;
  readonly extensionFolder: string;
  /** Whether a file is there; the one question asked of the disk. */
  readonly exists: (file: string) => Promise<boolean>;
}

/** The command to run, the user's own choice first; undefined when there is no server on this machine. */
export async function resolveServer(sources: ServerSources): Promise<ServerCommand | undefined> {
  const { interpreter, serverCommand, chosenPythons, managedFolder, platform, exists } = sources;
  const cwd = sources.extensionFolder;
  if (interpreter !== "") return isolatedPython(interpreter, cwd);
  const [command, ...args] = serverCommand;
  if (command !== undefined) return { command, args, cwd };
  for (const python of chosenPythons) {
    // Where its package is installed, its command stands beside Python.
    const script = join(dirname(python), scriptName(platform));
    if (await exists(script)) return isolatedPython(python, cwd);
  }
  const script = await findOnPath(sources);
  if (script !== undefined) return { command: script, args: ["serve"], cwd };
  if (managedFolder === undefined) return undefined;
  const python = venvPython(managedFolder, platform);
  return (await exists(python)) ? isolatedPython(python, cwd) : undefined;
}

/** Where a virtual environment keeps its Python. */
export function venvPython(folder: string, platform: NodeJS.Platform): string {
  return venvFile(folder, platform, "python");
}

function venvFile(folder: string, platform: NodeJS.Platform, name: string): string {
  return platform === "win32" ? join(folder, "Scripts", `${name}.exe`) : join(folder, "bin", name);
}

function isolatedPython(interpreter: string, cwd: string): ServerCommand {
  return { command: interpreter, args: ["-I", "-m", "lsp_server", "serve"], cwd };
}

async function findOnPath({ path, platform, exists }: ServerSources): Promise<string | undefined> {
  const separator = platform === "win32" ? ";" : ":";
  const folders = path.split(separator).filter((folder) => isAbsolute(folder));
  for (const script of folders.map((folder) => join(folder, scriptName(platform)))) {
    if (await exists(script)) return script;
  }
  return undefined;
}

function scriptName(platform: NodeJS.Platform): string {
  return platform === "win32" ? "green-code.exe" : "green-code";
}
