import assert from "node:assert/strict";
import { test } from "node:test";
import { isLanguageOn, withLanguage } from "../../src/languages";

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
