/**
 * The token of a completion server elsewhere: kept in the editor's secret storage, handed to our server in the
 * environment of its process. It is in no setting, in no message and in no log.
 */

import * as vscode from "vscode";
import { hint } from "./hint";

const KEY = "greenCode.remoteToken";
const VARIABLE = "GREEN_CODE_REMOTE_TOKEN";
const { t } = vscode.l10n;

/** What the server's process gets to see beside the editor's own environment. */
export async function tokenEnvironment(
  secrets: vscode.SecretStorage,
): Promise<Record<string, string>> {
  const token = await secrets.get(KEY);
  return token === undefined ? {} : { [VARIABLE]: token };
}

/** Calls back when the token is another one, in whichever window it was set. */
export function onDidChangeToken(
  secrets: vscode.SecretStorage,
  onChange: () => void,
): vscode.Disposable {
  return secrets.onDidChange(({ key }) => {
    if (key === KEY) onChange();
  });
}

/** Asks for the token; an empty one is forgotten. */
export async function askRemoteToken(secrets: vscode.SecretStorage): Promise<void> {
  const answer = await vscode.window.showInputBox({
    title: t("Remote token"),
    prompt: t("What the server of greenCode.remote.url knows you by; empty forgets it"),
    password: true,
    ignoreFocusOut: true,
  });
  if (answer === undefined) return;
  const token = answer.trim();
  if (token === "") await secrets.delete(KEY);
  else await secrets.store(KEY, token);
  hint(
    token === "" ? t("Green Code: the token is forgotten.") : t("Green Code: the token is kept."),
  );
}
