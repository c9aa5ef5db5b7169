/** A page of ours: what it was sent is kept, and what it says is heard as the extension hears it. */

export class Webview {
  readonly posted: unknown[] = [];
  readonly cspSource = "";
  options: unknown;
  html = "";
  #listener: ((message: unknown) => unknown) | undefined;

  asWebviewUri(uri: object): object {
    return uri;
  }

  onDidReceiveMessage(listener: (message: unknown) => unknown): { dispose: () => void } {
    this.#listener = listener;
    return { dispose: () => undefined };
  }

  postMessage(message: unknown): Promise<boolean> {
    this.posted.push(message);
    return Promise.resolve(true);
  }

  /** The page says something; rejects where nobody catches what goes wrong then. */
  async say(message: unknown): Promise<void> {
    await this.#listener?.(message);
  }
}
