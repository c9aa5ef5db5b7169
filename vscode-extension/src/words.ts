/** `t`: a sentence in the editor's `language`, with its values put in. All that these modules know of the editor. */

import * as vscode from "vscode";

export const { t } = vscode.l10n;
export const { language } = vscode.env;
