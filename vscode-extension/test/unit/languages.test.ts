import assert from "node:assert/strict";
import { test } from "node:test";
import { isLanguageOn, switchesOf, withLanguage } from "../../src/languages";

test("a language that is not named is as all others are", () => {
  assert.equal(isLanguageOn({}, "python"), true);
  assert.equal(isLanguageOn({ "*": false }, "python"), false);
  assert.equal(isLanguageOn({ "*": false, python: true }, "python"), true);
});

test("case matters as little as to the server", () => {
  assert.equal(isLanguageOn({ Python: false }, "python"), false);
  assert.deepEqual(withLanguage({ Python: false, "*": true }, "python", true), {
    "*": true,
    python: true,
  });
});

test("what people call a language is the language, as to the server", () => {
  assert.equal(isLanguageOn({ "C++": false }, "cpp"), false);
  assert.equal(isLanguageOn({ "c++": false }, "c"), true);
  assert.deepEqual(withLanguage({ bash: false, python: false }, "shellscript", true), {
    python: false,
    shellscript: true,
  });
});

test("of two names for one language the last holds, as to the server", () => {
  assert.equal(isLanguageOn({ "c++": true, cpp: false }, "cpp"), false);
  assert.equal(isLanguageOn({ cpp: false, "c++": true }, "cpp"), true);
});

test("an entry that is neither on nor off takes no other along", () => {
  const raw = { "*": false, python: true, go: "on" };

  assert.deepEqual(switchesOf(raw), { "*": false, python: true });
  assert.deepEqual(withLanguage(raw, "python", false), { ...raw, python: false });
});

for (const raw of [undefined, null, "python", [true]]) {
  test(`a setting of ${JSON.stringify(raw)} switches nothing`, () => {
    assert.deepEqual(switchesOf(raw), {});
    assert.deepEqual(withLanguage(raw, "python", false), { python: false });
  });
}
