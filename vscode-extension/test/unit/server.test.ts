import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveServer, type ServerSources } from "../../src/server";

const NOTHING: ServerSources = {
  interpreter: "",
  serverCommand: [],
  path: "",
  platform: "linux",
  managedFolder: "/storage/server",
  extensionFolder: "/extension",
  exists: () => false,
};

const EVERYTHING: ServerSources = {
  ...NOTHING,
  interpreter: "/venv/bin/python",
  serverCommand: ["/opt/server", "--quiet"],
  path: "/usr/bin",
  exists: () => true,
};

test("the interpreter of the settings comes first, and runs isolated", () => {
  const server = resolveServer(EVERYTHING);

  assert.equal(server?.command, "/venv/bin/python");
  assert.deepEqual(server.args, ["-I", "-m", "lsp_server", "serve"]);
});

test("the command of the settings comes second, with its arguments", () => {
  const server = resolveServer({ ...EVERYTHING, interpreter: "" });

  assert.equal(server?.command, "/opt/server");
  assert.deepEqual(server.args, ["--quiet"]);
});

test("green-code on the PATH comes third", () => {
  const server = resolveServer({ ...EVERYTHING, interpreter: "", serverCommand: [] });

  assert.equal(server?.command, "/usr/bin/green-code");
  assert.deepEqual(server.args, ["serve"]);
});

test("the managed environment comes last", () => {
  const exists = (file: string): boolean => file.startsWith("/storage/");

  const server = resolveServer({ ...NOTHING, path: "/usr/bin", exists });

  assert.equal(server?.command, "/storage/server/bin/python");
});

test("a managed environment that was deleted does not count", () => {
  assert.equal(resolveServer(NOTHING), undefined);
});

test("a relative entry of the PATH, such as the workspace, is not searched", () => {
  const server = resolveServer({ ...NOTHING, path: ".:bin:/usr/bin", exists: () => true });

  assert.equal(server?.command, "/usr/bin/green-code");
});

test("Windows has its own separator and names", () => {
  const exists = (file: string): boolean => file.endsWith("green-code.exe");

  const server = resolveServer({ ...NOTHING, platform: "win32", path: "/a;/b", exists });

  assert.equal(server?.command, "/a/green-code.exe");
});

test("the server never runs in the workspace", () => {
  assert.equal(resolveServer(EVERYTHING)?.cwd, "/extension");
});

test("a machine without a server has none", () => {
  assert.equal(
    resolveServer({ ...NOTHING, managedFolder: undefined, exists: () => true }),
    undefined,
  );
});
