import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { ServerClient } from "../../src/client";
import { SNOOZE, STATUS } from "../../src/protocol";
import type { ServerCommand } from "../../src/server";
import { clients, ErrorAction, fate, State, type LanguageClient } from "./fakes/languageClient";
import { fakeLogger } from "./fakes/logger";
import { shown } from "./fakes/vscode";

const SERVER: ServerCommand = { command: "/bin/green-code", args: ["serve"], cwd: "/extension" };

const SECRET = "s3cret";

const WEEK = { by: "day", days: 7, country: "" } as const;

const OFF = "/project/off.py";

let resolved: ServerCommand | undefined;

const PARTS = {
  resolve: () => Promise.resolve(resolved),
  environment: () => Promise.resolve({ SECRET }),
  isFileOff: ({ path }: { path: string }) => path === OFF,
};

function newClient(): ServerClient {
  return new ServerClient({ ...PARTS, logger: fakeLogger().logger });
}

function newest(): LanguageClient {
  const client = clients.at(-1);
  assert.ok(client);
  return client;
}

beforeEach(() => {
  resolved = SERVER;
  clients.length = 0;
  Object.assign(fate, {
    failsToStart: false,
    neverAnswers: false,
    restarts: true,
    answer: undefined,
  });
});

test("a server that starts is running", async () => {
  const client = newClient();
  const phases: string[] = [];
  client.onDidChange(({ server }) => phases.push(server.phase));

  await client.restart();

  assert.deepEqual(phases, ["starting", "running"]);
  assert.equal(newest().server.command, SERVER.command);
});

test("a token is in the environment of the server's process, and in no line of the log", async () => {
  const { logger, lines } = fakeLogger();

  await new ServerClient({ ...PARTS, logger }).restart();

  assert.equal(newest().server.options.env["SECRET"], SECRET);
  assert.equal(newest().server.options.env["PATH"], process.env["PATH"]);
  assert.doesNotMatch(lines.join("\n"), new RegExp(SECRET));
});

test("without a server nothing is started, and one sentence says what helps", async () => {
  resolved = undefined;
  const client = newClient();

  await client.restart();

  assert.equal(client.snapshot.server.phase, "missing");
  assert.match(client.snapshot.server.message, /install it, or set greenCode\.interpreter/);
  assert.equal(clients.length, 0);
});

test("restarts that are asked for at once run one after another, and one server is left", async () => {
  const client = newClient();

  await Promise.all([client.restart(), client.restart(), client.restart()]);

  assert.deepEqual(
    clients.map(({ isDisposed }) => isDisposed),
    [true, true, false],
  );
  assert.equal(client.snapshot.server.phase, "running");
});

test("a server that cannot be started is told, and the next restart tries again", async () => {
  fate.failsToStart = true;
  const client = newClient();
  await client.restart();
  const { phase, message } = client.snapshot.server;

  fate.failsToStart = false;
  await client.restart();

  assert.deepEqual(
    [phase, message],
    ["stopped", "The server could not be started; the log says why."],
  );
  assert.equal(client.snapshot.server.phase, "running");
});

async function newHangingClient(): Promise<[ServerClient, string[]]> {
  fate.neverAnswers = true;
  const client = newClient();
  const phases: string[] = [];
  client.onDidChange(({ server }) => phases.push(server.phase));
  void client.restart();
  while (clients.at(-1)?.state !== State.Starting) await new Promise(setImmediate);
  fate.neverAnswers = false;
  return [client, phases];
}

test("a server that never answers is given up for the next one, and called no failure", async () => {
  const [client, phases] = await newHangingClient();

  await client.restart();

  assert.deepEqual(phases, ["starting", "starting", "running"]);
  assert.deepEqual(
    clients.map(({ isDisposed }) => isDisposed),
    [true, false],
  );
});

test("a server that never answers can be stopped", async () => {
  const [client] = await newHangingClient();

  await client.stop();

  assert.equal(newest().isDisposed, true);
});

test("settings that name the same server restart nothing", async () => {
  const client = newClient();
  await client.restart();

  await client.restartIfChanged();
  assert.equal(clients.length, 1);

  resolved = { ...SERVER, command: "/venv/bin/green-code" };
  await client.restartIfChanged();
  assert.equal(newest().server.command, "/venv/bin/green-code");
});

test("what a server said is forgotten when it stops", async () => {
  const client = newClient();
  await client.restart();
  newest().notify(STATUS, { health: "ok" });
  assert.notEqual(client.snapshot.status, null);

  await newest().options.errorHandler.closed();

  assert.equal(client.snapshot.status, null);
  assert.match(client.snapshot.server.message, /was started again/);
});

test("a server that was installed anew beneath its process is started again, once", async () => {
  const client = newClient();
  await client.restart();
  const outdated = newest();

  outdated.notify(STATUS, { health: "error", remedy: "restart" });
  outdated.notify(STATUS, { health: "error", remedy: "restart" });
  await client.stop(); // behind what is queued

  assert.equal(outdated.isDisposed, true);
  assert.equal(clients.length, 2);
});

test("a message that a dying server cannot take leaves it to be started again", async () => {
  await newClient().restart();
  const broken = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });

  const { action } = newest().options.errorHandler.error(broken, undefined, undefined);

  assert.equal(action, ErrorAction.Continue);
  assert.equal(newest().isKilled, false);
});

test("a server whose words are no message is ended, so that it is started again", async () => {
  await newClient().restart();
  const unreadable = new Error("Header must provide a Content-Length property.");

  const { action } = newest().options.errorHandler.error(unreadable, undefined, undefined);

  assert.equal(action, ErrorAction.Continue);
  assert.equal(newest().isKilled, true);
});

test("a server that cannot be started again after a crash is told", async () => {
  const client = newClient();
  await client.restart();
  await newest().options.errorHandler.closed();

  fate.failsToStart = true;
  await assert.rejects(newest().start()); // as the library does, which tells nobody but the log

  assert.equal(client.snapshot.server.phase, "stopped");
  assert.match(client.snapshot.server.message, /could not be started/);
});

test("a server that stops too often stays off", async () => {
  fate.restarts = false;
  const client = newClient();
  await client.restart();

  await newest().options.errorHandler.closed();

  assert.equal(client.snapshot.server.phase, "stopped");
  assert.match(client.snapshot.server.message, /stays off until Restart Server/);
});

test("the end of a server that was replaced changes nothing", async () => {
  const client = newClient();
  await client.restart();
  const old = newest();
  await client.restart();

  await old.options.errorHandler.closed();

  assert.equal(client.snapshot.server.phase, "running");
});

test("requests go to the running server, and to none where none runs", async () => {
  const client = newClient();
  assert.equal(await client.snooze(5), false);
  assert.equal(await client.history(WEEK), undefined);
  assert.equal(await client.clearHistory(), false);
  assert.equal(await client.models(), undefined);
  assert.equal(await client.recent(), undefined);
  await client.restart();

  fate.answer = { periods: [] };

  assert.equal(await client.snooze(5), true);
  assert.deepEqual(await client.history(WEEK), { periods: [] });
  assert.equal(await client.clearHistory(), true);
  assert.deepEqual(await client.models(), { periods: [] });
  assert.deepEqual(await client.recent(), { periods: [] });
  assert.deepEqual(newest().requests[0], [SNOOZE, { minutes: 5 }]);
});

test("a server is never asked about a file that is switched off; who asks by hand is told why", async () => {
  await newClient().restart();
  const ask = newest().options.middleware.provideInlineCompletionItems;
  const answers = (path: string, triggerKind: number): Promise<unknown> =>
    ask({ uri: { path } }, undefined, { triggerKind }, {}, () => "asked");
  shown.hints.length = 0;

  assert.equal(await answers("/project/on.py", 1), "asked");
  assert.equal(await answers(OFF, 1), undefined);
  assert.deepEqual(shown.hints, []);
  assert.equal(await answers(OFF, 0), undefined);
  assert.deepEqual(shown.hints, ["$(info) Completions are off for this file."]);
});

test("it is known for which document the newest answer came, until the server is another", async () => {
  const client = newClient();
  await client.restart();
  const ask = async (uri: string, isCancellationRequested = false): Promise<string> => {
    const document = { uri: { path: uri, toString: () => uri } };
    const { provideInlineCompletionItems } = newest().options.middleware;
    await provideInlineCompletionItems(
      document,
      undefined,
      { triggerKind: 1 },
      { isCancellationRequested },
      () => undefined,
    );
    return client.snapshot.answeredFor;
  };

  assert.equal(client.snapshot.answeredFor, "");
  assert.equal(await ask("file:///project/a.py"), "file:///project/a.py");
  assert.equal(await ask("file:///project/b.py", true), "file:///project/a.py");
  assert.equal(await ask(OFF), "file:///project/a.py");
  assert.equal(await ask("file:///project/b.py"), "file:///project/b.py");
  await client.restart();
  assert.equal(client.snapshot.answeredFor, "");
});
