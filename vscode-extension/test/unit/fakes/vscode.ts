/** Stands in for the editor's module in unit tests: settings in memory, and what a person is shown, kept. */

import { join } from "node:path";
import { Webview } from "./webview";

export enum ConfigurationTarget {
  Global = 1,
  Workspace = 2,
}

interface Scopes {
  defaultValue?: unknown;
  globalValue?: unknown;
  workspaceValue?: unknown;
}

/** The settings of the test at hand, by name without the section. */
export const configuration = new Map<string, Scopes>();

/** Why nothing can be written, neither settings nor files; "" where all can. */
export const trouble = { writing: "" };

/** The files that were written, by their paths. */
export const written = new Map<string, Uint8Array>();

interface Section {
  get(name: string): unknown;
  inspect(name: string): Scopes | undefined;
  update(name: string, value: unknown, target: ConfigurationTarget): Promise<void>;
}

const SECTION: Section = {
  get(name) {
    const scopes = configuration.get(name);
    return scopes?.workspaceValue ?? scopes?.globalValue ?? scopes?.defaultValue;
  },
  inspect: (name) => configuration.get(name),
  update(name, value, target) {
    if (trouble.writing !== "") return Promise.reject(new Error(trouble.writing));
    const scope = target === ConfigurationTarget.Workspace ? "workspaceValue" : "globalValue";
    configuration.set(name, { ...configuration.get(name), [scope]: value });
    return Promise.resolve();
  },
};

interface Renamed {
  readonly files: readonly { oldUri: { path: string }; newUri: { path: string } }[];
}

let renames: EventEmitter<Renamed> | undefined;
const renamed = (): EventEmitter<Renamed> => (renames ??= new EventEmitter());

/** Somebody gives a file or a folder another name. */
export function rename(before: string, after: string): void {
  renamed().fire({ files: [{ oldUri: { path: before }, newUri: { path: after } }] });
}

export const workspace = {
  isTrusted: true,
  workspaceFolders: [{ uri: { fsPath: "/project", path: "/project" } }],
  fs: {
    readFile: (): Promise<Uint8Array> => Promise.resolve(new Uint8Array()),
    writeFile: ({ fsPath }: FileUri, bytes: Uint8Array): Promise<void> => {
      if (trouble.writing !== "") return Promise.reject(new Error(trouble.writing));
      written.set(fsPath, bytes);
      return Promise.resolve();
    },
  },
  getConfiguration: (): Section => SECTION,
  onDidChangeConfiguration: (): Disposable => new Disposable(() => undefined),
  onDidRenameFiles: (listener: (event: Renamed) => void): { dispose: () => void } =>
    renamed().event(listener),
};

export enum InlineCompletionTriggerKind {
  Invoke = 0,
  Automatic = 1,
}

/** A memory that lasts as long as the test. */
export class Memory {
  readonly values = new Map<string, unknown>();

  get(name: string): unknown {
    return this.values.get(name);
  }

  update(name: string, value: unknown): Promise<void> {
    this.values.set(name, value);
    return Promise.resolve();
  }
}

/** An extension of the test at hand; its API is there once it is active, or it fails. */
export class Extension {
  exports: unknown;

  constructor(readonly api: unknown) {}

  activate(): Promise<void> {
    if (this.api === undefined) return Promise.reject(new Error("it does not start"));
    this.exports = this.api;
    return Promise.resolve();
  }
}

/** By their identifiers. */
export const installed = new Map<string, Extension>();

export const extensions = {
  getExtension: (id: string): Extension | undefined => installed.get(id),
};

export class Disposable {
  static from(...disposables: { dispose: () => unknown }[]): Disposable {
    return new Disposable(() => {
      for (const disposable of disposables) disposable.dispose();
    });
  }

  constructor(readonly dispose: () => void) {}
}

export const env = { language: "en" };

export const l10n = {
  /** Says a sentence in the language of the test at hand, its places left open. */
  translate: (message: string): string => message,
  t: (message: string, ...values: unknown[]): string =>
    l10n
      .translate(message)
      .replace(/\{(\d)\}/g, (_, index: string) => String(values[Number(index)])),
};

export class MarkdownString {
  isTrusted: unknown;

  constructor(readonly value: string) {}
}

export class ThemeColor {
  constructor(readonly id: string) {}
}

export enum StatusBarAlignment {
  Right = 2,
}

export enum QuickPickItemKind {
  Separator = -1,
  Default = 0,
}

export const commands = {
  executeCommand: (...command: readonly unknown[]): Promise<undefined> => {
    shown.commands.push(command);
    return Promise.resolve(undefined);
  },
};

export enum ProgressLocation {
  Notification = 15,
}

interface FileUri {
  readonly fsPath: string;
}

export const Uri = {
  file: (fsPath: string): FileUri => ({ fsPath }),
  joinPath: ({ fsPath }: FileUri, ...parts: string[]): FileUri => ({
    fsPath: join(fsPath, ...parts),
  }),
};

/** What the person was shown, oldest first. */
export const shown = {
  errors: [] as string[],
  progress: [] as string[],
  hints: [] as string[],
  questions: [] as string[],
  commands: [] as (readonly unknown[])[],
  saveDialogs: 0,
};

/**
 * What a person does: presses Cancel as soon as a message is shown, or a button, picks an entry by its label, saves, or
 * overlooks notifications, so that what they ask stays without an answer.
 */
export const person = { cancelsAt: "", presses: "", picks: "", savesAs: "", overlooks: false };

interface TextEditor {
  readonly document: { readonly uri: object; readonly languageId: string };
}

let editors: EventEmitter<undefined> | undefined;
const editorChanged = (): EventEmitter<undefined> => (editors ??= new EventEmitter());

/** The person goes to another file. */
export function open(uri: string, languageId = "python"): void {
  window.activeTextEditor = {
    document: { uri: { path: uri, toString: () => uri }, languageId },
  };
  editorChanged().fire(undefined);
}

/** The newest item in the status bar. */
export const statusItem = {
  text: "",
  show: (): void => undefined,
  dispose: (): void => undefined,
};

interface ViewProvider {
  resolveWebviewView(view: object): Promise<void>;
}

/** What fills the views, and the pages beside the editor, the newest last. */
export const views: ViewProvider[] = [];
export const panels: Webview[] = [];

export enum ViewColumn {
  Active = -1,
}

interface Progress {
  report(value: { message: string }): void;
}

interface Labelled {
  readonly label: string;
}

interface Cancellation {
  onCancellationRequested(listener: () => void): void;
}

export const window = {
  activeTextEditor: undefined as TextEditor | undefined,
  onDidChangeActiveTextEditor: (listener: () => void): { dispose: () => void } =>
    editorChanged().event(listener),
  createStatusBarItem: (): typeof statusItem => statusItem,
  withProgress: (
    _options: unknown,
    task: (progress: Progress, cancellation: Cancellation) => Promise<void>,
  ): Promise<void> => {
    const cancelled = new EventEmitter<undefined>();
    return task(
      {
        report: ({ message }) => {
          shown.progress.push(message);
          if (message === person.cancelsAt) cancelled.fire(undefined);
        },
      },
      {
        onCancellationRequested: (listener) => {
          cancelled.event(listener);
        },
      },
    );
  },
  showSaveDialog(): Promise<FileUri | undefined> {
    shown.saveDialogs += 1;
    return Promise.resolve(person.savesAs === "" ? undefined : Uri.file(person.savesAs));
  },
  showWarningMessage(
    _message: string,
    _options: object,
    ...buttons: string[]
  ): Promise<string | undefined> {
    return Promise.resolve(buttons.find((button) => button === person.presses));
  },
  registerWebviewViewProvider(_id: string, provider: ViewProvider): Disposable {
    views.push(provider);
    return new Disposable(() => undefined);
  },
  createWebviewPanel(): object {
    const webview = new Webview();
    panels.push(webview);
    return { webview, reveal: () => undefined, onDidDispose: () => undefined };
  },
  setStatusBarMessage(message: string): void {
    shown.hints.push(message);
  },
  showInformationMessage(
    message: string,
    ...[first, ...others]: (string | { readonly modal: boolean })[]
  ): Promise<string | undefined> {
    shown.questions.push(message);
    const isModal = typeof first === "object" && first.modal;
    if (person.overlooks && !isModal) return new Promise(() => undefined);
    const buttons = [first, ...others].filter((each) => typeof each === "string");
    return Promise.resolve(buttons.find((button) => button === person.presses));
  },
  async showQuickPick<T extends { label: string }>(
    items: readonly T[] | Promise<readonly T[]>,
  ): Promise<T | undefined> {
    return (await items).find(({ label }) => label.endsWith(person.picks));
  },
  /** The person types what they pick, or presses Enter at once. */
  createQuickPick(): object {
    const accepted = new EventEmitter<undefined>();
    const hidden = new EventEmitter<undefined>();
    const list = {
      items: [] as readonly Labelled[],
      activeItems: [] as readonly Labelled[],
      selectedItems: [] as readonly Labelled[],
      onDidAccept: accepted.event,
      onDidHide: hidden.event,
      hide: (): void => {
        hidden.fire(undefined);
      },
      dispose: (): void => undefined,
      show: (): void => {
        setImmediate(() => {
          const found = list.items.filter(({ label }) => label.endsWith(person.picks));
          list.selectedItems = (person.picks === "" ? list.activeItems : found).slice(0, 1);
          if (list.selectedItems.length > 0) accepted.fire(undefined);
          else list.hide();
        });
      },
    };
    return list;
  },
  showErrorMessage(message: string): Promise<undefined> {
    shown.errors.push(message);
    return Promise.resolve(undefined);
  },
};

export class EventEmitter<T> {
  readonly #listeners = new Set<(value: T) => void>();

  readonly event = (listener: (value: T) => void): { dispose: () => void } => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };

  fire(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }

  dispose(): void {
    this.#listeners.clear();
  }
}
