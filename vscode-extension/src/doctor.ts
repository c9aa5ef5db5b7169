/** Green Code: Doctor: a report on what runs and why, to read and to pass on; no text of the user's is in it. */

import { execFile } from "node:child_process";
import { homedir } from "node:os";
import { promisify } from "node:util";
import * as vscode from "vscode";
import type { ServerClient } from "./client";
import { doctorReport, RIVALS, type Scoped } from "./doctorReport";
import { messageOf } from "./failure";
import type { ServerCommand } from "./server";
import { SECTION } from "./settings";
import { language, t } from "./words";

const SCHEME = "green-code-doctor";
const TIMEOUT_MS = 120_000;

/** What the report is made of. */
export interface DoctorSources {
  readonly client: ServerClient;
  readonly extension: vscode.Extension<unknown>;
  readonly resolve: () => Promise<ServerCommand | undefined>;
}

/** Lets the editor show reports. */
export function registerDoctor(): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
    provideTextDocumentContent: ({ query }) => query,
  });
}

/** Makes a report and opens it. */
export async function showDoctor(sources: DoctorSources): Promise<void> {
  const report = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: t("Green Code: Doctor") },
    () => reportOn(sources),
  );
  const uri = vscode.Uri.from({
    scheme: SCHEME,
    path: `Green Code ${t("Doctor")}.md`,
    query: report,
  });
  await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), {
    preview: true,
  });
}

async function reportOn({ client, extension, resolve }: DoctorSources): Promise<string> {
  const command = await resolve();
  const { version } = extension.packageJSON as { version: string };
  const editor = vscode.workspace.getConfiguration("editor");
  // A server that cannot say, such as an older one, takes nothing from the rest of the report.
  const recent = await client.recent().catch(() => undefined);
  return doctorReport({
    version,
    editor: `${vscode.env.appName} ${vscode.version}`,
    remote: vscode.env.remoteName ?? "",
    isTrusted: vscode.workspace.isTrusted,
    server: command === undefined ? "" : [command.command, ...command.args].join(" "),
    serverSays: command === undefined ? "" : await askServer(command),
    snapshot: { ...client.snapshot, status: recent?.status ?? client.snapshot.status },
    requests: recent?.requests ?? [],
    index: recent?.index ?? "",
    settings: settingsInForce(extension),
    rivals: RIVALS.filter((id) => vscode.extensions.getExtension(id) !== undefined),
    inlineSuggest: editor.get("inlineSuggest.enabled") !== false,
    quickSuggestions: editor.get("quickSuggestions"),
    home: homedir(),
  });
}

/** The server's own doctor, in the editor's language; what it says where it fails is part of the report. */
async function askServer({ command, args, cwd }: ServerCommand): Promise<string> {
  if (args.at(-1) !== "serve") return t("Its command is the user's own, and was not asked.");
  try {
    const asked = [...args.slice(0, -1), "doctor"];
    const env = { ...process.env, GREEN_CODE_LANGUAGE: language };
    const { stdout } = await promisify(execFile)(command, asked, { cwd, env, timeout: TIMEOUT_MS });
    return stdout;
  } catch (error) {
    return messageOf(error);
  }
}

/** Every setting that somebody has set, and where. */
function settingsInForce({ packageJSON }: vscode.Extension<unknown>): Scoped[] {
  const { contributes } = packageJSON as {
    contributes: { configuration: { properties: Record<string, unknown> } };
  };
  const section = vscode.workspace.getConfiguration();
  return Object.keys(contributes.configuration.properties)
    .filter((name) => name.startsWith(SECTION))
    .flatMap((name) => {
      const { globalValue, workspaceValue, workspaceFolderValue } = section.inspect(name) ?? {};
      const scoped: [string, unknown][] = [
        [t("folder"), workspaceFolderValue],
        [t("workspace"), workspaceValue],
        [t("user"), globalValue],
      ];
      const [scope] = scoped.filter(([, value]) => value !== undefined);
      return scope === undefined ? [] : [{ name, scope: scope[0], value: scope[1] }];
    });
}
