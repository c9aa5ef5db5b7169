/** What pip is told to install. Pure; knows nothing of the editor and starts nothing. */

import { join } from "node:path";

const TORCH_WITHOUT_CUDA = "https://download.pytorch.org/whl/cpu";
const CONSTRAINTS = "constraints.txt";

/** What `bundle.mjs` has put into the extension. */
export interface Bundle {
  readonly wheel: string;
  /** The versions that the wheel was tested with. */
  readonly constraints: string;
}

/** Finds both among the files of a folder; undefined when one of them is missing. */
export function findBundle(folder: string, names: readonly string[]): Bundle | undefined {
  const wheel = names.find((name) => name.endsWith(".whl"));
  if (wheel === undefined || !names.includes(CONSTRAINTS)) return undefined;
  return { wheel: join(folder, wheel), constraints: join(folder, CONSTRAINTS) };
}

/** Python's arguments that install the wheel with the tested versions of all that it needs. */
export function pipInstall({ wheel, constraints }: Bundle, needsCuda: boolean): string[] {
  const index = needsCuda ? [] : ["--extra-index-url", TORCH_WITHOUT_CUDA];
  const pip = ["-I", "-m", "pip", "install", "--disable-pip-version-check"];
  return [...pip, ...index, "--constraint", constraints, wheel];
}
