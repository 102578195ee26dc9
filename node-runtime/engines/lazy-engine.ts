import type { SandboxEngine, SandboxTask, TaskControl, TaskResult } from './sandbox-engine.ts';

/** An engine that is loaded for its first task: a process that never runs one does not pay for it. */
export class LazyEngine implements SandboxEngine {
  readonly #load: () => Promise<SandboxEngine>;
  #engine: Promise<SandboxEngine> | undefined;

  constructor(load: () => Promise<SandboxEngine>) {
    this.#load = load;
  }

  async run(task: SandboxTask, control: TaskControl): Promise<TaskResult> {
    this.#engine ??= this.#load();
    return (await this.#engine).run(task, control);
  }

  forget(key: string): void {
    void this.#engine?.then((engine) => engine.forget(key));
  }
}
