import { BinaryError, BinaryReader } from './binary.ts';

export interface Section {
  readonly id: number;
  /** Where it begins, its id included, and where its content lies. */
  readonly from: number;
  readonly at: number;
  readonly end: number;
}

export interface SizeLimits {
  readonly least: number;
  readonly most: number | undefined;
}

export interface ModuleFacts {
  readonly sections: readonly Section[];
  /** Types of functions as "ii:i": i32 `i`, i64 `I`, f32 `f`, f64 `d`, others `x`. */
  readonly types: readonly string[];
  readonly imports: readonly { readonly module: string; readonly name: string; readonly type: string }[];
  /** Of each function of its own: the index of its type. */
  readonly functions: readonly number[];
  readonly tables: readonly { readonly elementType: number; readonly limits: SizeLimits }[];
  readonly memories: readonly SizeLimits[];
  readonly globals: number;
  readonly exports: ReadonlyMap<string, { readonly kind: number; readonly index: number }>;
  readonly hasStart: boolean;
}

export const sectionId = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;
export const externalKind = { function: 0, table: 1, memory: 2, global: 3 } as const;

/** The order in which sections stand. */
export const sectionOrder = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];
const headerBytes = 8;
const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const functionForm = 0x60;
const valueLetters: Readonly<Record<number, string>> = { 127: 'i', 126: 'I', 125: 'f', 124: 'd' };
const valueTypes = new Set([0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f]);
const kindNames = ['function', 'table', 'memory', 'global', 'tag'];

/**
 * Reads what the engine must know of a module: everything but data and the code itself. Throws `BinaryError` where it is no module, or
 * one with parts that not all nodes know. It does not validate: V8 does.
 */
export function readModule(bytes: Uint8Array): ModuleFacts {
  if (!header.every((byte, index) => bytes[index] === byte)) {
    throw new BinaryError(
      bytes[4] === 0x0d && header.slice(0, 4).every((byte, index) => bytes[index] === byte)
        ? 'it is a component, not a module: build it for WASI preview 1 (wasm32-wasip1)'
        : 'it does not begin as a WebAssembly module does',
    );
  }
  const sections = readSections(bytes);
  const read = <T>(id: number, entry: (reader: BinaryReader) => T): T[] => {
    const section = sections.find((each) => each.id === id);
    return section === undefined ? [] : readVector(new BinaryReader(bytes, section.at, section.end), entry);
  };
  const types = read(sectionId.type, readType);
  const imports = read(sectionId.import, (reader) => readImport(reader, types));
  const functions = read(sectionId.function, (reader) => {
    const type = reader.unsigned();
    if (type >= types.length) throw new BinaryError(`it has no type ${type}`);
    return type;
  });
  const tables = read(sectionId.table, (reader) => ({ elementType: reader.byte(), limits: readLimits(reader) }));
  const memories = read(sectionId.memory, readLimits);
  const globals = countOf(bytes, sections, sectionId.global);
  const exports = new Map(
    read(sectionId.export, (reader) => [reader.name(), { kind: reader.byte(), index: reader.unsigned() }] as const),
  );
  const hasStart = sections.some(({ id }) => id === sectionId.start);
  return { sections, types, imports, functions, tables, memories, globals, exports, hasStart };
}

function readSections(bytes: Uint8Array): Section[] {
  const reader = new BinaryReader(bytes, headerBytes);
  const sections: Section[] = [];
  let last = -1;
  while (!reader.isAtEnd) {
    const from = reader.at;
    const id = reader.byte();
    const sizeBytes = reader.unsigned();
    const { at } = reader;
    reader.skip(sizeBytes);
    if (id !== sectionId.custom) {
      const place = sectionOrder.indexOf(id);
      if (place < 0) throw new BinaryError(`it has a section that not all nodes know (${id})`);
      if (place <= last) throw new BinaryError('its sections are out of order');
      last = place;
    }
    sections.push({ id, from, at, end: reader.at });
  }
  return sections;
}

function readVector<T>(reader: BinaryReader, entry: (reader: BinaryReader) => T): T[] {
  const count = reader.unsigned();
  const entries: T[] = [];
  for (let index = 0; index < count; index += 1) entries.push(entry(reader));
  if (!reader.isAtEnd) throw new BinaryError('a section is longer than what is in it');
  return entries;
}

function countOf(bytes: Uint8Array, sections: readonly Section[], id: number): number {
  const section = sections.find((each) => each.id === id);
  return section === undefined ? 0 : new BinaryReader(bytes, section.at, section.end).unsigned();
}

function readType(reader: BinaryReader): string {
  if (reader.byte() !== functionForm) throw new BinaryError('it uses garbage collection, which not all nodes know');
  const values = (): string => {
    let letters = '';
    for (let count = reader.unsigned(); count > 0; count -= 1) {
      const type = reader.byte();
      if (!valueTypes.has(type)) throw new BinaryError('it uses types of values that not all nodes know');
      letters += valueLetters[type] ?? 'x';
    }
    return letters;
  };
  const parameters = values();
  return `${parameters}:${values()}`;
}

function readImport(reader: BinaryReader, types: readonly string[]): ModuleFacts['imports'][number] {
  const module = reader.name();
  const name = reader.name();
  const kind = reader.byte();
  if (kind !== externalKind.function) {
    throw new BinaryError(`it imports ${module}.${name}, a ${kindNames[kind] ?? 'thing'}: only functions are served`);
  }
  const type = types[reader.unsigned()];
  if (type === undefined) throw new BinaryError(`the import ${module}.${name} has no type`);
  return { module, name, type };
}

function readLimits(reader: BinaryReader): SizeLimits {
  const flags = reader.byte();
  if (flags > 1) {
    throw new BinaryError(
      (flags & 4) !== 0
        ? 'it has a 64-bit memory: build it for wasm32'
        : 'it shares its memory, and a task has one thread',
    );
  }
  const least = reader.unsigned();
  return { least, most: flags === 1 ? reader.unsigned() : undefined };
}
