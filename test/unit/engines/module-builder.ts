import { BinaryWriter } from '../../../node-runtime/engines/wasm/binary.ts';

const letters: Readonly<Record<string, number>> = { i: 0x7f, I: 0x7e, f: 0x7d, d: 0x7c };

export interface ModuleParts {
  /** "ii:i": parameters and results. */
  readonly types?: readonly string[];
  readonly imports?: readonly { readonly module: string; readonly name: string; readonly type: number }[];
  /** Type and body of each function; a body without locals and without its last `end`. */
  readonly functions?: readonly { readonly type: number; readonly locals?: number; readonly body: readonly number[] }[];
  /** Smallest and largest number of elements. */
  readonly tables?: readonly (readonly number[])[];
  /** Smallest and largest number of pages. */
  readonly memory?: readonly number[] | undefined;
  /** By name: kind (0 function, 2 memory) and index. */
  readonly exports?: Readonly<Record<string, readonly [kind: number, index: number]>>;
  readonly start?: number;
}

/** A module by hand, in binary: what no compiler makes can be made with it. */
export function buildModule(parts: ModuleParts): Uint8Array {
  const { types = [], imports = [], functions = [], tables = [], memory, exports = {}, start } = parts;
  const module = new BinaryWriter();
  module.add([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
  const section = <T>(id: number, entries: readonly T[], write: (writer: BinaryWriter, entry: T) => void): void => {
    if (entries.length === 0) return;
    const content = new BinaryWriter();
    content.unsigned(entries.length);
    for (const entry of entries) write(content, entry);
    module.add([id]);
    module.addSized(content);
  };
  section(1, types, (writer, type) => {
    writer.add([0x60]);
    for (const values of type.split(':')) {
      writer.unsigned(values.length);
      writer.add([...values].map((letter) => letters[letter]!));
    }
  });
  section(2, imports, (writer, entry) => {
    addName(writer, entry.module);
    addName(writer, entry.name);
    writer.add([0]);
    writer.unsigned(entry.type);
  });
  section(3, functions, (writer, { type }) => writer.unsigned(type));
  section(4, tables, (writer, size) => {
    writer.add([0x70]);
    addLimits(writer, size);
  });
  section(5, memory === undefined ? [] : [memory], addLimits);
  section(7, Object.entries(exports), (writer, [name, [kind, index]]) => {
    addName(writer, name);
    writer.add([kind]);
    writer.unsigned(index);
  });
  if (start !== undefined) module.add([8, 1, start]);
  section(10, functions, (writer, { body, locals = 0 }) => {
    const code = new BinaryWriter();
    code.add(locals === 0 ? [0] : [1, locals, 0x7f]);
    code.add(body);
    code.add([0x0b]);
    writer.addSized(code);
  });
  return module.bytes();
}

function addName(writer: BinaryWriter, name: string): void {
  const bytes = new TextEncoder().encode(name);
  writer.unsigned(bytes.length);
  writer.add(bytes);
}

function addLimits(writer: BinaryWriter, size: readonly number[]): void {
  writer.add([size.length - 1]);
  for (const each of size) writer.unsigned(each);
}
