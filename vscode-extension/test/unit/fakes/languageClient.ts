/** Stands in for vscode-languageclient/node: a client whose server starts, fails and dies as a test wants. */

export enum State {
  Stopped = 1,
  Running = 2,
  Starting = 3,
  StartFailed = 4,
}

export enum CloseAction {
  DoNotRestart = 1,
  Restart = 2,
}

export enum ErrorAction {
  Continue = 1,
  Shutdown = 2,
}

export enum RevealOutputChannelOn {
  Never = 4,
}

interface ServerOptions {
  readonly command: string;
  readonly options: { readonly env: Readonly<Record<string, string | undefined>> };
}

/** What the extension does before the server is asked. */
interface Middleware {
  readonly provideInlineCompletionItems: (
    document: unknown,
    position: unknown,
    context: unknown,
    token: unknown,
    next: () => unknown,
  ) => Promise<unknown>;
}

interface ErrorHandler {
  error(error: Error, message: unknown, count: number | undefined): { action: ErrorAction };
  closed(): Promise<{ action: CloseAction }>;
}

/** What happens to the servers of the test at hand. */
export const fate = {
  failsToStart: false,
  neverAnswers: false,
  restarts: true,
  answer: undefined as unknown,
};

/** Every client that was made, the newest last. */
export const clients: LanguageClient[] = [];

export class LanguageClient {
  state = State.Stopped;
  isDisposed = false;
  isKilled = false;
  readonly serverProcess = {
    kill: (): void => {
      this.isKilled = true;
    },
  };
  readonly requests: unknown[] = [];
  readonly #listeners: ((event: { newState: State }) => void)[] = [];
  #kill: (() => void) | undefined;
  readonly #handlers = new Map<unknown, (params: unknown) => void>();

  constructor(
    _id: string,
    _name: string,
    readonly server: ServerOptions,
    readonly options: { errorHandler: ErrorHandler; middleware: Middleware },
  ) {
    clients.push(this);
  }

  createDefaultErrorHandler(): Pick<ErrorHandler, "closed"> {
    const action = fate.restarts ? CloseAction.Restart : CloseAction.DoNotRestart;
    return { closed: () => Promise.resolve({ action }) };
  }

  onDidChangeState(listener: (event: { newState: State }) => void): void {
    this.#listeners.push(listener);
  }

  onNotification(type: unknown, handler: (params: unknown) => void): void {
    this.#handlers.set(type, handler);
  }

  sendRequest(type: unknown, params?: unknown): Promise<unknown> {
    this.requests.push([type, params]);
    return Promise.resolve(fate.answer);
  }

  async start(): Promise<void> {
    await Promise.resolve();
    if (fate.failsToStart) {
      this.#become(State.StartFailed);
      throw new Error("spawn ENOENT");
    }
    if (fate.neverAnswers) {
      this.state = State.Starting;
      await new Promise((_, reject) => {
        this.#kill = (): void => {
          reject(new Error("Pending response rejected since connection got disposed"));
        };
      });
    }
    this.#become(State.Running);
  }

  dispose(): Promise<void> {
    this.isDisposed = true;
    if (this.state === State.Starting) {
      this.#kill?.();
      return Promise.reject(new Error("Client is not running and can't be stopped."));
    }
    this.state = State.Stopped;
    return Promise.resolve();
  }

  #become(newState: State): void {
    this.state = newState;
    for (const listener of this.#listeners) listener({ newState });
  }

  /** The server sends a notification. */
  notify(type: unknown, params: unknown): void {
    this.#handlers.get(type)?.(params);
  }
}
