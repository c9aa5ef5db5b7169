import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveServer, type ServerSources } from "../../src/server";

const NOTHING: ServerSources = {
  interpreter: "",
  chosenPythons: [],
  serverCommand: [],
  path: "",
  platform: "linux",
  managedFolder: "/storage/server",
  extensionFolder: "/extension",
  exists: () => Promise.resolve(false),
};

const EVERYTHING: ServerSources = {
  ...NOTHING,
  interpreter: "/venv/bin/python",
  serverCommand: ["/opt/server", "--quiet"],
  chosenPythons: ["/chosen/bin/python"],
  path: "/usr/bin",
  exists: () => Promise.resolve(true),
};

function at(isThere: (file: string) => boolean): (file: string) => Promise<boolean> {
  return (file) => Promise.resolve(isThere(file));
}

test("the interpreter of the settings comes first, and runs isolated", async () => {
  const server = await resolveServer(EVERYTHING);

  assert.equal(server?.command, "/venv/bin/python");
  assert.deepEqual(server.args, ["-I", "-m", "lsp_server", "serve"]);
});

test("the command of the settings comes second, with its arguments", async () => {
  const server = await resolveServer({ ...EVERYTHING, interpreter: "" });

  assert.equal(server?.command, "/opt/server");
  assert.deepEqual(server.args, ["--quiet"]);
});

test("a chosen Python that has green-code comes third, and runs isolated", async () => {
  const server = await resolveServer({ ...EVERYTHING, interpreter: "", serverCommand: [] });

  assert.equal(server?.command, "/chosen/bin/python");
  assert.deepEqual(server.args, ["-I", "-m", "lsp_server", "serve"]);
});

test("green-code on the PATH comes fourth, before a chosen Python without it", async () => {
  const exists = at((file) => !file.startsWith("/chosen/"));
  const server = await resolveServer({
    ...EVERYTHING,
    interpreter: "",
    serverCommand: [],
    exists,
  });

  assert.equal(server?.command, "/usr/bin/green-code");
  assert.deepEqual(server.args, ["serve"]);
});

test("the managed environment comes last", async () => {
  const exists = at((file) => file.startsWith("/storage/"));

  const server = await resolveServer({ ...NOTHING, path: "/usr/bin", exists });

  assert.equal(server?.command, "/storage/server/bin/python");
});

test("a managed environment that was deleted does not count", async () => {
  assert.equal(await resolveServer(NOTHING), undefined);
});

test("a relative entry of the PATH, such as the workspace, is not searched", async () => {
  const server = await resolveServer({
    ...NOTHING,
    path: ".:bin:/usr/bin",
    exists: () => Promise.resolve(true),
  });

  assert.equal(server?.command, "/usr/bin/green-code");
});

test("Windows has its own separator and names", async () => {
  const exists = at((file) => file.endsWith("green-code.exe"));

  const server = await resolveServer({ ...NOTHING, platform: "win32", path: "/a;/b", exists });

  assert.equal(server?.command, "/a/green-code.exe");
});

test("the server never runs in the workspace", async () => {
  assert.equal((await resolveServer(EVERYTHING))?.cwd, "/extension");
});

test("a machine without a server has none", async () => {
  assert.equal(
    await resolveServer({
      ...NOTHING,
      managedFolder: undefined,
      exists: () => Promise.resolve(true),
    }),
    undefined,
  );
});
