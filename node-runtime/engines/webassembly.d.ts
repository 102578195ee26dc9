// The part of the WebAssembly API that the engines use: TypeScript has it only in the DOM library.
declare namespace WebAssembly {
  interface Module {
    readonly webassemblyModule: never;
  }
  type Imports = Record<string, Record<string, unknown>>;
  type Exports = Record<string, unknown>;
  class Instance {
    constructor(module: Module, imports: Imports);
    readonly exports: Exports;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Table {
    private constructor();
    set(index: number, value: unknown): void;
  }
  class Global {
    private constructor();
    value: number;
  }
  class LinkError extends Error {}
  class RuntimeError extends Error {}
  function compile(bytes: Uint8Array): Promise<Module>;
}
