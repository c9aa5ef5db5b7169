/** What pip and uv are told to install, and what their lines say. Pure; knows nothing of the editor, starts nothing. */

import { join } from "node:path";
import { t } from "../words";

const TORCH_WITHOUT_CUDA = "https://download.pytorch.org/whl/cpu";
const CONSTRAINTS = "constraints.txt";
const REQUIREMENTS = "without-torch.txt";

/** What `bundle.mjs` has put into the extension. */
export interface Bundle {
  readonly wheel: string;
  /** The versions that the wheel was tested with. */
  readonly constraints: string;
  /** What the wheel asks for, but for PyTorch and what only that needs. */
  readonly requirements: string;
}

/** A program with its arguments. */
export type Command = readonly [program: string, ...arguments_: string[]];

/** Finds them among the files of a folder; undefined when one of them is missing. */
export function findBundle(folder: string, names: readonly string[]): Bundle | undefined {
  const wheel = names.find((name) => name.endsWith(".whl"));
  if (wheel === undefined || ![CONSTRAINTS, REQUIREMENTS].every((name) => names.includes(name))) {
    return undefined;
  }
  const [constraints, requirements] = [join(folder, CONSTRAINTS), join(folder, REQUIREMENTS)];
  return { wheel: join(folder, wheel), constraints, requirements };
}

/** Who makes an environment and installs into it. */
export interface Installer {
  readonly name: "uv" | "pip";
  /** Makes the environment. */
  readonly environment: Command;
  /** Installs the server with the tested versions of all that a CPU needs, from the user's own indexes. */
  readonly server: readonly Command[];
  /** After that PyTorch, and what goes with it. */
  readonly withTorch: Command;
  /** Before that PyTorch alone, from its own index, in its small build; that may fail where the index is not reached. */
  readonly torch: Command;
}

/** Where an environment is made, with what, and from which Python. */
export interface Plan {
  readonly folder: string;
  /** The Python inside, once it is made. */
  readonly inside: string;
  readonly python: string;
  readonly bundle: Bundle;
}

/** uv, which is several times faster, and reads the user's uv configuration. */
export function uvInstaller(uv: string, { folder, inside, python, bundle }: Plan): Installer {
  const install = ["pip", "install", "--python", inside, "--constraint", bundle.constraints];
  return {
    name: "uv",
    // With pip, by which the default model is fetched.
    environment: [uv, "venv", "--no-project", "--seed", "--python", python, folder],
    server: [
      [uv, ...install, "--requirement", bundle.requirements],
      [uv, ...install, "--no-deps", bundle.wheel],
    ],
    withTorch: [uv, ...install, bundle.wheel],
    torch: [uv, ...install, "--no-deps", "--default-index", TORCH_WITHOUT_CUDA, "torch"],
  };
}

/** Python's own venv and pip, which reads the user's pip configuration. */
export function pipInstaller({ folder, inside, python, bundle }: Plan): Installer {
  const pip = ["-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"];
  // Python compiles what is imported; to compile all that is there would take as long as to install it.
  const install = [
    ...pip,
    "--no-compile",
    "--progress-bar",
    "off",
    "--constraint",
    bundle.constraints,
  ];
  // Its index is asked for this one package and once: where it cannot be reached that must not take minutes.
  const once = [
    "--no-deps",
    "--retries",
    "0",
    "--timeout",
    "10",
    "--index-url",
    TORCH_WITHOUT_CUDA,
  ];
  return {
    name: "pip",
    environment: [python, "-I", "-m", "venv", "--clear", folder],
    server: [
      [inside, ...install, "--requirement", bundle.requirements],
      [inside, ...install, "--no-deps", bundle.wheel],
    ],
    withTorch: [inside, ...install, bundle.wheel],
    torch: [inside, ...install, ...once, "torch"],
  };
}

/** What a line of pip or uv says is under way, for people: "torch (191 MB)"; undefined where it says nothing of that. */
export function underWay(line: string): string | undefined {
  const download = /^\s*Downloading (\S+) \(([\d.]+) ?([kKMG])i?B\)/.exec(line);
  if (download !== null) {
    const [, file = "", size = "", unit = ""] = download;
    return `${packageOf(file)} (${Math.round(Number(size))} ${unit === "K" ? "k" : unit}B)`;
  }
  const collecting = /^\s*Collecting ([\w.-]+)/.exec(line);
  if (collecting?.[1] !== undefined) return collecting[1];
  return /^\s*(Installing collected packages|Prepared \d+ packages?)/.test(line)
    ? t("unpacking, nearly done")
    : undefined;
}

/** The sentence by which pip or uv says why it failed; undefined where it says none. */
export function failureIn(lines: readonly string[]): string | undefined {
  const told =
    lines.findLast((line) => /^\s*(ERROR|error):/.test(line)) ??
    lines.findLast((line) => /^\s*×/.test(line));
  return told?.replace(/^\s*(ERROR|error|×):?\s*/, "").trim();
}

/** "torch" of "https://host/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl" and of "torch". */
function packageOf(file: string): string {
  const name = file.split("/").at(-1) ?? file;
  return name.replace(/-\d.*$/, "");
}
