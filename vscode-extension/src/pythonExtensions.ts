/**
 * Which Python a person has chosen, as their Python extensions say: Python Environments first, then Python. Never in an
 * untrusted folder: its settings may have chosen it. Starts no Python.
 */

import * as vscode from "vscode";

/** As much as we use of the API of ms-python.vscode-python-envs. */
export interface PythonEnvironmentsApi {
  getEnvironment(
    scope: vscode.Uri | undefined,
  ): Promise<{ readonly execInfo: { readonly run: { readonly executable: string } } } | undefined>;
  readonly onDidChangeEnvironment: vscode.Event<unknown>;
}

/** As much as we use of the API of ms-python.python. */
export interface PythonApi {
  readonly environments: {
    getActiveEnvironmentPath(resource: vscode.Uri | undefined): { readonly path: string };
    resolveEnvironment(
      path: unknown,
    ): Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
    readonly onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

/** What either extension can do for us. */
interface Chooser {
  readonly python: () => Promise<string | undefined>;
  readonly onDidChange: vscode.Event<unknown> | undefined;
}

/** The Pythons that are chosen for the open folder, the likelier one first. */
export async function chosenPythons(): Promise<string[]> {
  const found: string[] = [];
  for (const chooser of await choosers()) {
    // Their API is young and changes: whatever goes wrong, there are other ways to a Python.
    const python = await chooser.python().catch(() => undefined);
    if (python !== undefined && python !== "" && !found.includes(python)) found.push(python);
  }
  return found;
}

/** Calls back when a person chooses another. */
export async function watchPythons(onChange: () => void): Promise<vscode.Disposable> {
  return vscode.Disposable.from(
    ...(await choosers()).flatMap(({ onDidChange }) => onDidChange?.(onChange) ?? []),
  );
}

async function choosers(): Promise<Chooser[]> {
  if (!vscode.workspace.isTrusted) return [];
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const environments = await apiOf<PythonEnvironmentsApi>("ms-python.vscode-python-envs");
  const python = (await apiOf<PythonApi>("ms-python.python"))?.environments;
  return [
    ...(environments === undefined
      ? []
      : [
          {
            python: async () =>
              (await environments.getEnvironment(folder))?.execInfo.run.executable,
            onDidChange: environments.onDidChangeEnvironment,
          },
        ]),
    ...(python === undefined
      ? []
      : [
          {
            python: async () =>
              (await python.resolveEnvironment(python.getActiveEnvironmentPath(folder)))?.executable
                .uri?.fsPath,
            onDidChange: python.onDidChangeActiveEnvironmentPath,
          },
        ]),
  ];
}

/** What an extension offers; undefined where it is not there, or fails. */
async function apiOf<T>(id: string): Promise<T | undefined> {
  const extension = vscode.extensions.getExtension<T>(id);
  if (extension === undefined) return undefined;
  try {
    await extension.activate();
    return extension.exports;
  } catch {
    return undefined;
  }
}
