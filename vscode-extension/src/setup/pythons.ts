/**
 * Which Python an environment may be made from: those that the user's Python extensions have chosen, then those on the
 * PATH. Asks each whether it fits; installs nothing.
 */

import { delimiter, isAbsolute, join } from "node:path";
import { env, platform } from "node:process";
import { chosenPythons } from "../pythonExtensions";
import type { Run } from "./process";

const NEWEST_MINOR = 14;
const OLDEST_MINOR = 10;
const FITS = `import sys, venv, ensurepip; assert sys.version_info >= (3, ${OLDEST_MINOR})`;
/** As `FITS`, where another program makes the environment. */
const FITS_UV = `import sys; assert sys.version_info >= (3, ${OLDEST_MINOR})`;

/** The first Python that fits; undefined where there is none. */
export async function findPython(
  run: Run,
  { withUv }: { withUv: boolean },
): Promise<string | undefined> {
  for (const python of [...(await chosenPythons()), ...NAMES]) {
    try {
      await run([python, "-I", "-c", withUv ? FITS_UV : FITS]);
      return python;
    } catch (error) {
      if (error instanceof Error && error.name === "AbortError") throw error;
    }
  }
  return undefined;
}

const VERSIONS = Array.from(
  { length: NEWEST_MINOR - OLDEST_MINOR + 1 },
  (_, i) => NEWEST_MINOR - i,
);
const NAMES =
  platform === "win32"
    ? ["python", "py"]
    : ["python3", ...VERSIONS.map((minor) => `python3.${minor}`)];

/** The full path of a program on the PATH; relative entries, such as the workspace, are not searched. */
export function findProgram(name: string, exists: (file: string) => boolean): string | undefined {
  return (env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => isAbsolute(folder))
    .map((folder) => join(folder, platform === "win32" ? `${name}.exe` : name))
    .find(exists);
}
