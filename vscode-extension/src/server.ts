/**
 * Which command starts the server. Pure; knows nothing of the editor and starts nothing.
 *
 * The workspace never has a say: the working directory is the extension's own folder, Python runs isolated (-I),
 * and relative entries of PATH are not searched.
 */

import { join, isAbsolute } from "node:path";

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
  /** Setting `greenCode.serverCommand`; empty when not set. */
  readonly serverCommand: readonly string[];
  /** The environment's PATH. */
  readonly path: string;
  readonly platform: NodeJS.Platform;
  /** The environment that Install Server has made; undefined where there is none. */
  readonly managedFolder: string | undefined;
  readonly extensionFolder: string;
  /** Whether a file is there; the one question asked of the disk. */
  readonly exists: (file: string) => boolean;
}

/** The command to run, the user's own choice first; undefined when there is no server on this machine. */
export function resolveServer(sources: ServerSources): ServerCommand | undefined {
  const cwd = sources.extensionFolder;
  if (sources.interpreter !== "") return isolatedPython(sources.interpreter, cwd);
  const [command, ...args] = sources.serverCommand;
  if (command !== undefined) return { command, args, cwd };
  const script = findOnPath(sources);
  if (script !== undefined) return { command: script, args: ["serve"], cwd };
  const { managedFolder, platform, exists } = sources;
  if (managedFolder === undefined) return undefined;
  const python = venvPython(managedFolder, platform);
  return exists(python) ? isolatedPython(python, cwd) : undefined;
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

function findOnPath({ path, platform, exists }: ServerSources): string | undefined {
  const [separator, name] = platform === "win32" ? [";", "green-code.exe"] : [":", "green-code"];
  return path
    .split(separator)
    .filter((folder) => isAbsolute(folder))
    .map((folder) => join(folder, name))
    .find(exists);
}
