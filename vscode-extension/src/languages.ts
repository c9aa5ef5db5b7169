/** The setting `greenCode.languages` as the server reads it. Pure; knows nothing of the editor. */

const ANY = "*";

/** Languages with completions, by identifier. */
export type LanguageSwitches = Readonly<Record<string, boolean>>;

/** True where completions are on for a language. */
export function isLanguageOn(switches: LanguageSwitches, language: string): boolean {
  return find(switches, language) ?? switches[ANY] ?? true;
}

/** The switches with one turned over. */
export function withLanguage(
  switches: LanguageSwitches,
  language: string,
  isOn: boolean,
): LanguageSwitches {
  const others = Object.entries(switches).filter(([name]) => !isSame(name, language));
  return { ...Object.fromEntries(others), [language]: isOn };
}

function find(switches: LanguageSwitches, language: string): boolean | undefined {
  return Object.entries(switches).find(([name]) => isSame(name, language))?.[1];
}

function isSame(name: string, language: string): boolean {
  return name.trim().toLowerCase() === language.toLowerCase();
}
