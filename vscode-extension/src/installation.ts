/**
 * Install Server: a virtual environment of the extension's own, with the wheel that came in the .vsix, and the
 * versions of other packages that it was tested with.
 *
 * Run again it repairs: the environment is made anew each time. Knows nothing of how the server is started.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { platform } from "node:process";
import { promisify } from "node:util";
import * as vscode from "vscode";
import { type Bundle, findBundle, pipInstall } from "./pip";
import { venvPython } from "./server";

const MAX_OUTPUT_BYTES = 16 * 1024 * 1024; // pip tells every package

/** Where the environment goes and where its wheel comes from. */
export interface Installation {
  readonly folder: string;
  readonly extensionUri: vscode.Uri;
  readonly logger: vscode.LogOutputChannel;
}

/**
 * Installs with a progress notification. A failure is one sentence, its details are in the log; whoever cancels knows
 * it and is told nothing.
 */
export async function installServer(installation: Installation): Promise<void> {
  const { logger } = installation;
  const abort = new AbortController();
  try {
    await vscode.window.withProgress(
      {
        location: vscode.ProgressLocation.Notification,
        title: "Green Code",
        cancellable: true,
      },
      async (progress, cancellation) => {
        cancellation.onCancellationRequested(() => {
          abort.abort();
        });
        await install(installation, abort.signal, (message) => {
          progress.report({ message });
        });
      },
    );
  } catch (error) {
    if (abort.signal.aborted) {
      logger.info("The installation was cancelled.");
      return;
    }
    logger.error(error instanceof Error ? error.message : String(error));
    const sentence =
      error instanceof InstallationError
        ? error.message
        : "The server could not be installed; the log says why.";
    const chosen = await vscode.window.showErrorMessage(`Green Code: ${sentence}`, "Show Log");
    if (chosen !== undefined) logger.show();
  }
}

/** Told to the user as it stands. */
class InstallationError extends Error {}

async function install(
  { folder, extensionUri, logger }: Installation,
  signal: AbortSignal,
  report: (message: string) => void,
): Promise<void> {
  const run = async (command: string, args: string[]): Promise<void> => {
    logger.info([command, ...args].join(" "));
    const options = { signal, maxBuffer: MAX_OUTPUT_BYTES, cwd: extensionUri.fsPath };
    const { stdout } = await promisify(execFile)(command, args, options);
    if (stdout !== "") logger.info(stdout);
  };
  const bundle = await readBundle(vscode.Uri.joinPath(extensionUri, "bundled").fsPath);
  const python = platform === "win32" ? "python" : "python3";
  report("Looking for Python…");
  try {
    await run(python, ["-I", "-c", "import sys, venv; assert sys.version_info >= (3, 10)"]);
  } catch {
    throw new InstallationError(`Python 3.10 or newer, with venv, was not found as ${python}.`);
  }
  report("Making an environment…");
  await mkdir(dirname(folder), { recursive: true });
  await run(python, ["-I", "-m", "venv", "--clear", folder]);
  report("Installing the server; the first time this fetches PyTorch…");
  await run(venvPython(folder, platform), pipInstall(bundle, needsCuda()));
}

async function readBundle(folder: string): Promise<Bundle> {
  const bundle = existsSync(folder) ? findBundle(folder, await readdir(folder)) : undefined;
  if (bundle === undefined) {
    throw new InstallationError(
      "this build of the extension has no server in it; set greenCode.interpreter instead.",
    );
  }
  return bundle;
}

/** On Linux PyPI's torch brings gigabytes of CUDA, of use only with an NVIDIA driver. */
function needsCuda(): boolean {
  return platform !== "linux" || existsSync("/dev/nvidiactl");
}
