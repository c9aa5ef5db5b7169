import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import german from "../../l10n/bundle.l10n.de.json";
import germanPackage from "../../package.nls.de.json";
import englishPackage from "../../package.nls.json";
import { PRESETS } from "../../src/greenMode";

const SOURCES = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(join("src", name), "utf8"));

test("every sentence that may be translated is, and nothing else", () => {
  const said = SOURCES.flatMap((source) =>
    [...source.matchAll(/\bt\(\s*"((?:[^"\\]|\\.)*)"/g)].map(([, sentence]) => sentence),
  );
  const all = new Set([...said, ...PRESETS.map(({ name }) => name)]);

  assert.deepEqual(Object.keys(german).sort(), [...all].sort());
});

test("a translation has the places that its sentence has", () => {
  for (const [sentence, translated] of Object.entries(german)) {
    const places = (text: string): string[] => (text.match(/\{\d\}/g) ?? []).sort();

    assert.deepEqual(places(translated), places(sentence));
  }
});

test("every text of package.json is there in both languages, and used", () => {
  const used = [...readFileSync("package.json", "utf8").matchAll(/"%([\w.]+)%"/g)].map(
    ([, key]) => key,
  );

  assert.deepEqual(Object.keys(englishPackage).sort(), used.sort());
  assert.deepEqual(Object.keys(germanPackage).sort(), used.sort());
});
