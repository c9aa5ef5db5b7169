/** Runs tasks one after another. Knows nothing of what they do. */

export class TaskQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs a task when those before it have ended, well or badly. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined); // whoever asked for the task is told; the next one is not
    return result;
  }
}
