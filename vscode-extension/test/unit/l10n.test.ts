import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import german from "../../l10n/bundle.l10n.de.json";
import germanPackage from "../../package.nls.de.json";
import englishPackage from "../../package.nls.json";
import { BASELINE, PROVENANCES } from "../../src/format";
import { PRESETS } from "../../src/greenMode";
import { fillPage } from "../../src/page";

const SOURCES = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(join("src", name), "utf8"));

const PAGES = ["history", "slider"].map((name) => readFileSync(`media/${name}.html`, "utf8"));
/** What page.ts puts in that is no sentence. */
const VALUES = ["cspSource", "nonce", "style", "script", "locale"];

test("a page has its sentences in the editor's language, and its values as they are", () => {
  const html = '<p title="{{nonce}}">{{More\n      than a line}}</p>';

  assert.equal(fillPage(html, { nonce: "a&b" }), '<p title="a&b">More than a line</p>');
});

test("no text of a page is left in English", () => {
  for (const page of PAGES) {
    const left = page
      .replaceAll(/\{\{[^{}]+\}\}/g, "")
      .replaceAll(/<[^>]*>/g, "")
      .trim();

    assert.equal(left, "");
  }
});

test("every sentence that may be translated is, and nothing else", () => {
  const said = SOURCES.flatMap((source) =>
    [...source.matchAll(/\bt\(\s*"((?:[^"\\]|\\.)*)"/g)].map(([, sentence]) => sentence),
  );
  const onPages = PAGES.flatMap((page) =>
    [...page.matchAll(/\{\{([^{}]+)\}\}/g)]
      .map(([, name = ""]) => name.replaceAll(/\s+/g, " ").trim())
      .filter((name) => !VALUES.includes(name)),
  );
  const named = [...PRESETS.map(({ name }) => name), ...PROVENANCES, BASELINE];
  const all = new Set([...said, ...onPages, ...named]);

  assert.deepEqual(Object.keys(german).sort(), [...all].sort());
});

test("a translation has the places that its sentence has", () => {
  for (const [sentence, translated] of Object.entries(german)) {
    const places = (text: string): string[] => (text.match(/\{\d\}/g) ?? []).sort();

    assert.deepEqual(places(translated), places(sentence));
  }
});

test("every text page of the walkthrough is there in both languages", () => {
  const pages = readdirSync("media/walkthrough").filter((name) => name.endsWith(".md"));
  const english = pages.filter((name) => !name.includes(".nls."));

  assert.deepEqual(
    pages.sort(),
    english.flatMap((name) => [name, name.replace(".md", ".nls.de.md")]).sort(),
  );
});

test("every text of package.json is there in both languages, and used", () => {
  const used = [...readFileSync("package.json", "utf8").matchAll(/"%([\w.]+)%"/g)].map(
    ([, key]) => key,
  );

  assert.deepEqual(Object.keys(englishPackage).sort(), used.sort());
  assert.deepEqual(Object.keys(germanPackage).sort(), used.sort());
});
