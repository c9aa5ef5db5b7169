import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type * as vscode from "vscode";
import {
  chosenPythons,
  watchPythons,
  type PythonApi,
  type PythonEnvironmentsApi,
} from "../../src/pythonExtensions";
import { EventEmitter, Extension, installed, workspace } from "./fakes/vscode";

const ENVIRONMENTS = "ms-python.vscode-python-envs";
const PYTHON = "ms-python.python";

const changed = new EventEmitter<unknown>();
const onChange = changed.event as unknown as vscode.Event<unknown>;

/** As Python Environments answers for the open folder. */
function environmentsApi(executable: string | undefined): PythonEnvironmentsApi {
  return {
    getEnvironment: (scope) => {
      assert.equal(scope?.path, "/project");
      const found = executable === undefined ? undefined : { execInfo: { run: { executable } } };
      return Promise.resolve(found);
    },
    onDidChangeEnvironment: onChange,
  };
}

/** As Python answers. */
function pythonApi(fsPath: string): PythonApi {
  return {
    environments: {
      getActiveEnvironmentPath: () => ({ path: fsPath }),
      resolveEnvironment: () =>
        Promise.resolve({ executable: { uri: { fsPath } as unknown as vscode.Uri } }),
      onDidChangeActiveEnvironmentPath: onChange,
    },
  };
}

beforeEach(() => {
  installed.clear();
  workspace.isTrusted = true;
});

test("Python Environments is asked first, then Python", async () => {
  installed.set(PYTHON, new Extension(pythonApi("/old/bin/python")));
  assert.deepEqual(await chosenPythons(), ["/old/bin/python"]);

  installed.set(ENVIRONMENTS, new Extension(environmentsApi("/new/bin/python")));
  assert.deepEqual(await chosenPythons(), ["/new/bin/python", "/old/bin/python"]);
});

test("where both say the same it counts once, and where nothing is chosen nothing is found", async () => {
  installed.set(ENVIRONMENTS, new Extension(environmentsApi("/a/bin/python")));
  installed.set(PYTHON, new Extension(pythonApi("/a/bin/python")));
  assert.deepEqual(await chosenPythons(), ["/a/bin/python"]);

  installed.delete(PYTHON);
  installed.set(ENVIRONMENTS, new Extension(environmentsApi(undefined)));
  assert.deepEqual(await chosenPythons(), []);
});

test("an extension that fails, or has another API, is as good as none", async () => {
  installed.set(ENVIRONMENTS, new Extension(undefined));
  installed.set(PYTHON, new Extension(pythonApi("/old/bin/python")));
  assert.deepEqual(await chosenPythons(), ["/old/bin/python"]);

  installed.set(ENVIRONMENTS, new Extension({}));
  assert.deepEqual(await chosenPythons(), ["/old/bin/python"]);
});

test("in an untrusted folder nobody is asked", async () => {
  installed.set(PYTHON, new Extension(pythonApi("/project/.venv/bin/python")));
  workspace.isTrusted = false;

  assert.deepEqual(await chosenPythons(), []);
});

test("another choice is told, from either, until nobody listens", async () => {
  installed.set(ENVIRONMENTS, new Extension(environmentsApi("/a/bin/python")));
  let changes = 0;
  const watcher = await watchPythons(() => (changes += 1));

  changed.fire(undefined);
  watcher.dispose();
  changed.fire(undefined);

  assert.equal(changes, 1);
});
