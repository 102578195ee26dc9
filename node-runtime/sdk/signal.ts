/** A thing that changes and can be waited for: each `next()` resolves at the next `fire()`. */
export class ChangeSignal {
  #promise: Promise<void> | undefined;
  #resolve: (() => void) | undefined;

  next(): Promise<void> {
    this.#promise ??= new Promise((resolve) => {
      this.#resolve = resolve;
    });
    return this.#promise;
  }

  fire(): void {
    const resolve = this.#resolve;
    this.#promise = undefined;
    this.#resolve = undefined;
    resolve?.();
  }
}
