/** `t`: a sentence in the editor's language, with its values put in. All that these modules know of the editor. */

import { l10n } from "vscode";

export const { t } = l10n;
