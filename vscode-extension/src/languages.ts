/** The setting `greenCode.languages` as the server reads it. Pure; knows nothing of the editor. */

const ANY = "*";

/** What people call languages, and their identifiers; tests/test_protocol_mirror.py compares them with the server's. */
const IDENTIFIERS = new Map(
  Object.entries({
    "c++": "cpp",
    "c#": "csharp",
    "f#": "fsharp",
    "objective-c++": "objective-cpp",
    batch: "bat",
    shell: "shellscript",
    bash: "shellscript",
    sh: "shellscript",
    "shell script": "shellscript",
    "plain text": "plaintext",
    text: "plaintext",
    golang: "go",
    js: "javascript",
    ts: "typescript",
    jsx: "javascriptreact",
    "javascript jsx": "javascriptreact",
    "javascript react": "javascriptreact",
    tsx: "typescriptreact",
    "typescript jsx": "typescriptreact",
    "typescript react": "typescriptreact",
    "json with comments": "jsonc",
    docker: "dockerfile",
    "docker compose": "dockercompose",
    md: "markdown",
    yml: "yaml",
    "visual basic": "vb",
    py: "python",
  }),
);

/** Languages with completions, by identifier. */
export type LanguageSwitches = Readonly<Record<string, boolean>>;

/** The switches of a setting as it came, entry by entry: one that is neither on nor off takes no other along. */
export function switchesOf(raw: unknown): LanguageSwitches {
  const isSwitch = (entry: [string, unknown]): entry is [string, boolean] =>
    typeof entry[1] === "boolean";
  return Object.fromEntries(Object.entries(entriesOf(raw)).filter(isSwitch));
}

/** True where completions are on for a language. */
export function isLanguageOn(switches: LanguageSwitches, language: string): boolean {
  return find(switches, language) ?? find(switches, ANY) ?? true;
}

/** The setting with one switch turned over, and all else in it as it came. */
export function withLanguage(
  raw: unknown,
  language: string,
  isOn: boolean,
): Readonly<Record<string, unknown>> {
  const others = Object.entries(entriesOf(raw)).filter(([name]) => !isSame(name, language));
  return { ...Object.fromEntries(others), [language]: isOn };
}

function entriesOf(raw: unknown): object {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw) ? raw : {};
}

/** Of several names for one language the last holds. */
function find(switches: LanguageSwitches, language: string): boolean | undefined {
  return Object.entries(switches).findLast(([name]) => isSame(name, language))?.[1];
}

function isSame(name: string, language: string): boolean {
  const folded = name.trim().toLowerCase();
  return (IDENTIFIERS.get(folded) ?? folded) === language.toLowerCase();
}
