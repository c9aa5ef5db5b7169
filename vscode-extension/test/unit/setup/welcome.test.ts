import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { wantsSecondServer } from "../../../src/setup/welcome";
import { person, shown } from "../fakes/vscode";

beforeEach(() => {
  person.presses = "";
  shown.questions.length = 0;
});

test("who has a server of their own is told which, and nothing is fetched unless they insist", async () => {
  assert.equal(await wantsSecondServer("/home/ada/.venv/bin/python"), false);
  assert.match(shown.questions[0] ?? "", /\/home\/ada\/\.venv\/bin\/python is the server/);

  person.presses = "Install Server";
  assert.equal(await wantsSecondServer("/home/ada/.venv/bin/python"), true);
});
