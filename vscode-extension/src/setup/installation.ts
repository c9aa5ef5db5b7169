/**
 * Install Server, which is Repair Server too: a virtual environment of the extension's own, with the wheel that came in
 * the .vsix, and the versions of other packages that it was tested with.
 *
 * It is built beside the one in use and checked; only then it takes its place. Whatever goes wrong before, the one in
 * use stays as it is. Knows nothing of how the server is started.
 */

import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { env, platform } from "node:process";
import * as vscode from "vscode";
import { messageOf } from "../failure";
import { venvPython } from "../server";
import { t } from "../words";
import { remove, type Environments } from "./environments";
import { tryLock, untilFree } from "./lock";
import {
  failureIn,
  findBundle,
  pipInstaller,
  underWay,
  uvInstaller,
  type Bundle,
  type Installer,
  type Plan,
} from "./pip";
import { ProgramError, runner, type Run } from "./process";
import { findProgram, findPython } from "./pythons";

const STEPS = 4;
const CHECK = "import gguf, onnxruntime, tokenizers, lsp_server.handlers";
const CHECK_TORCH = "import torch, transformers";

/** Where the environment goes, where its wheel comes from, what is in it, and who is told. */
export interface Installation {
  readonly environments: Environments;
  readonly extensionUri: vscode.Uri;
  /** Whether PyTorch is wanted; it comes along as well where there is a GPU for it, or where it was there before. */
  readonly withTorch: boolean;
  readonly logger: vscode.LogOutputChannel;
  /** What is under way; "" when nothing is any more. */
  readonly onProgress: (message: string) => void;
}

/** "failed" and "cancelled" left everything as it was. */
export type Outcome = "installed" | "failed" | "cancelled";

/** Told to the user as it stands. */
class InstallationError extends Error {}

/** Installs with a progress notification, and says in a sentence what became of it unless that is success. */
export async function installServer(installation: Installation): Promise<Outcome> {
  const { environments, logger, onProgress } = installation;
  const abort = new AbortController();
  const isRepair = (await environments.current()) !== undefined;
  try {
    await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: "Green Code", cancellable: true },
      async (progress, cancellation) => {
        cancellation.onCancellationRequested(() => {
          abort.abort();
        });
        await installAlone(installation, abort.signal, (message) => {
          progress.report({ message });
          onProgress(message);
        });
      },
    );
    return "installed";
  } catch (error) {
    if (abort.signal.aborted) {
      logger.info("The installation was cancelled.");
      const told = isRepair
        ? t("Green Code: cancelled, the server that you have was not touched.")
        : t("Green Code: cancelled, nothing was installed.");
      vscode.window.setStatusBarMessage(`$(info) ${told}`, 8000);
      return "cancelled";
    }
    logger.error(messageOf(error));
    tellFailure(error, isRepair, logger);
    return "failed";
  } finally {
    onProgress("");
  }
}

function tellFailure(error: unknown, isRepair: boolean, logger: vscode.LogOutputChannel): void {
  const why = error instanceof InstallationError ? error.message : t("The log says why.");
  const sentence = isRepair
    ? t("The server could not be repaired; the one that you have was not touched.")
    : t("The server could not be installed.");
  const told = `Green Code: ${sentence} ${why}`;
  void vscode.window.showErrorMessage(told, t("Show Log")).then((chosen) => {
    if (chosen !== undefined) logger.show();
  });
}

/** One installation at a time over all windows; whoever waited takes what the other has made. */
async function installAlone(
  installation: Installation,
  signal: AbortSignal,
  report: (message: string) => void,
): Promise<void> {
  const { environments } = installation;
  const folder = await environments.next();
  const lock = join(environments.storage, "install.lock");
  const before = await environments.current();
  let unlock = await tryLock(lock);
  while (unlock === undefined) {
    report(t("another window is installing the server; this one waits for it"));
    await untilFree(lock, signal);
    const isDone = (await environments.current()) !== before;
    if (isDone && (!installation.withTorch || (await environments.hasTorch()))) return;
    unlock = await tryLock(lock);
  }
  try {
    await environments.removeOthers(); // what an interrupted installation has left
    const torch = installation.withTorch || hasGpu() || (await environments.hasTorch());
    await build(installation, { folder, torch }, signal, report);
    await environments.use(folder, { torch });
  } catch (error) {
    await remove(folder);
    throw error;
  } finally {
    await unlock();
  }
}

async function build(
  { extensionUri, logger }: Installation,
  { folder, torch }: { folder: string; torch: boolean },
  signal: AbortSignal,
  report: (message: string) => void,
): Promise<void> {
  const step = (number: number, message: string): void => {
    report(t("step {0} of {1}: {2}", number, STEPS, message));
  };
  const log = (line: string): void => {
    logger.info(line);
  };
  const run = runner({ cwd: extensionUri.fsPath, env: withProxy(), signal, log });
  const bundle = await readBundle(vscode.Uri.joinPath(extensionUri, "bundled").fsPath);
  step(1, t("looking for Python"));
  const inside = venvPython(folder, platform);
  const installers = await findInstallers(run, { folder, inside, bundle });
  for (const [index, installer] of installers.entries()) {
    try {
      await install(run, installer, torch, step);
      break;
    } catch (error) {
      const isLast = index === installers.length - 1;
      if (signal.aborted || isLast) throw explained(error);
      logger.warn(`${installer.name} could not install the server; the next is tried.`);
      await remove(folder);
    }
  }
  step(4, t("checking that the server starts"));
  const checked = torch ? `${CHECK}; ${CHECK_TORCH}` : CHECK;
  await run([inside, "-I", "-c", checked]).catch((error: unknown) => {
    throw explained(error);
  });
}

async function install(
  run: Run,
  installer: Installer,
  torch: boolean,
  step: (number: number, message: string) => void,
): Promise<void> {
  step(2, t("making an environment with {0}", installer.name));
  await run(installer.environment);
  const showLine = (line: string): void => {
    const message = underWay(line);
    if (message !== undefined) step(3, t("installing packages: {0}", message));
  };
  if (torch && platform === "linux" && !hasGpu()) {
    step(3, t("installing packages: {0}", t("PyTorch for the CPU")));
    // Where its index cannot be reached the user's own has it, if in a larger build.
    await run(installer.torch, showLine).catch((error: unknown) => {
      if (!(error instanceof ProgramError)) throw error;
    });
  }
  step(3, t("installing packages"));
  for (const command of torch ? [installer.withTorch] : installer.server) {
    await run(command, showLine);
  }
}

async function findInstallers(
  run: Run,
  where: Omit<Plan, "python">,
): Promise<readonly Installer[]> {
  const uv = findProgram("uv", existsSync);
  const forUv = uv === undefined ? undefined : await findPython(run, { withUv: true });
  const forPip = await findPython(run, { withUv: false });
  const found = [
    ...(uv === undefined || forUv === undefined
      ? []
      : [uvInstaller(uv, { ...where, python: forUv })]),
    ...(forPip === undefined ? [] : [pipInstaller({ ...where, python: forPip })]),
  ];
  if (found.length > 0) return found;
  const isPythonThere =
    forUv !== undefined || (await findPython(run, { withUv: true })) !== undefined;
  throw new InstallationError(
    isPythonThere
      ? t("Python lacks venv here: on Debian and Ubuntu `sudo apt install python3-venv` brings it.")
      : t("Python 3.10 or newer was not found: install it, or put it on the PATH."),
  );
}

async function readBundle(folder: string): Promise<Bundle> {
  const bundle = existsSync(folder) ? findBundle(folder, await readdir(folder)) : undefined;
  if (bundle === undefined) {
    throw new InstallationError(
      t("This build of the extension has no server in it; set greenCode.interpreter instead."),
    );
  }
  return bundle;
}

/** What pip, uv or the server itself said of its failure, for people. */
function explained(error: unknown): unknown {
  if (!(error instanceof ProgramError)) return error;
  const told = failureIn(error.lines) ?? error.lines.findLast((line) => line.trim() !== "");
  return new InstallationError(
    told === undefined ? t("The log says why.") : t("It says: {0}", told),
  );
}

/** The editor's proxy for programs that know only the environment's; what is set there goes first. */
function withProxy(): NodeJS.ProcessEnv {
  const proxy = vscode.workspace.getConfiguration("http").get<unknown>("proxy");
  const isSet = typeof proxy === "string" && proxy !== "";
  return isSet ? { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, ...env } : env;
}

/** Whether PyTorch finds a GPU here without being asked for: PyPI's brings CUDA on Linux alone. */
function hasGpu(): boolean {
  return platform === "linux" && existsSync("/dev/nvidiactl");
}
