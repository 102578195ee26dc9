import { limits, MeshError } from '../../contract/index.ts';
import { BinaryError, BinaryReader, BinaryWriter } from './binary.ts';
import { type MeterPlaces, meterBody } from './meter.ts';
import { externalKind, type ModuleFacts, readModule, type Section, sectionId, sectionOrder } from './read-module.ts';
import { foremeshModule, signatureOf, wasiModule } from './wasi-names.ts';

export const pageBytes = 65_536;
/** Names of what is added to a module, for the host. */
export const meterExports = { units: 'foremesh:units', calls: 'foremesh:calls' } as const;
const pagesOfWasm32 = 65_536;
const funcref = 0x70;
const i32 = 0x7f;

/**
 * Makes of a WASI command the module that runs: metered (see `meterBody`), its memory bounded by `memoryBytesMost`, its tables by
 * `wasmTableElements`. Throws `MESH_TASK_CODE_INVALID` for what cannot run here, `MESH_TASK_MEMORY` for a module that begins with
 * more memory than `memoryBytes`; both say what mends it.
 *
 * @param memoryBytes what a task may use at first, `memoryBytesMost` what it may be given while it runs
 */
export function prepareModule(code: Uint8Array, memoryBytes: number, memoryBytesMost: number): Uint8Array {
  try {
    const facts = readModule(code);
    checkCommand(facts);
    checkSizes(facts, memoryBytes);
    return rewrite(code, facts, Math.min(pagesOfWasm32, Math.floor(memoryBytesMost / pageBytes)));
  } catch (error) {
    if (error instanceof BinaryError) throw invalid(`not a module that runs here: ${error.message}`);
    throw error;
  }
}

/** What is exported and imported: is it a command, and is all there that it asks for? */
function checkCommand({ imports, exports, types, functions, hasStart }: ModuleFacts): void {
  for (const { module, name, type } of imports) {
    const served = signatureOf(module, name);
    if (served === undefined) throw foreignImport(module, name);
    if (served !== type) throw invalid(`the import ${module}.${name} is called as (${type}) and is (${served})`);
  }
  const entry = exports.get('_start');
  if (entry === undefined) {
    if (exports.has('_initialize')) {
      throw invalid(
        'it is a reactor (a library with _initialize), not a command',
        'build a program with a main function: without -mexec-model=reactor, --no-entry or crate-type cdylib',
      );
    }
    throw invalid(
      'it exports no _start',
      'build a WASI command: a program with a main function (C: without -nostartfiles; AssemblyScript: --exportStart _start)',
    );
  }
  const type = entry.kind === externalKind.function ? functions[entry.index - imports.length] : undefined;
  if (type === undefined || types[type] !== ':')
    throw invalid('its _start is no function without parameters and results');
  if (exports.get('memory')?.kind !== externalKind.memory) {
    throw invalid('it exports no memory of the name "memory"', 'export it, as WASI asks: --export-memory');
  }
  if (hasStart) {
    throw invalid(
      'it has a start function, which would run before its memory is there',
      'export what it does at the start as _start (AssemblyScript: --exportStart _start)',
    );
  }
  for (const name of Object.values(meterExports)) {
    if (exports.has(name)) throw invalid(`it exports "${name}", a name that is reserved`);
  }
}

function foreignImport(module: string, name: string): MeshError {
  const mends: Readonly<Record<string, string>> = {
    wasi_unstable: 'build it with a newer WASI SDK: preview 1 is wasi_snapshot_preview1',
    env: 'link everything into it (clang: no -Wl,--allow-undefined; AssemblyScript: extend @assemblyscript/wasi-shim/asconfig.json)',
  };
  return invalid(
    `it imports ${module}.${name}, which is not here: only WASI preview 1 (${wasiModule}) and ${foremeshModule}.progress are`,
    mends[module] ?? 'build it for WASI preview 1 (wasm32-wasi, wasm32-wasip1), without other imports',
  );
}

function checkSizes({ memories, tables: own }: ModuleFacts, memoryBytes: number): void {
  if (memories.length > 1) throw invalid('it has more than one memory');
  const needed = (memories[0]?.least ?? 0) * pageBytes;
  if (needed > memoryBytes) {
    throw new MeshError(
      'MESH_TASK_MEMORY',
      `the module begins with ${needed} bytes of memory and may use ${memoryBytes}`,
      {
        mend: `limits: { memoryMiB: ${Math.ceil(needed / 1024 ** 2)} } or more in the stage, or a smaller -Wl,--initial-memory`,
      },
    );
  }
  const elements = own.reduce((sum, table) => sum + table.limits.least, 0);
  if (elements > limits.wasmTableElements || own.length > limits.wasmTables) {
    throw invalid(
      `its ${own.length} tables have ${elements} elements: wasmTables is ${limits.wasmTables}, wasmTableElements ${limits.wasmTableElements}`,
    );
  }
}

function rewrite(code: Uint8Array, facts: ModuleFacts, pagesMost: number): Uint8Array {
  const places: MeterPlaces = {
    unitsGlobal: facts.globals,
    table: facts.tables.length,
    tickType: facts.types.length,
    growType: facts.types.length + 1,
  };
  const changes: Readonly<Record<number, (old: Section | undefined) => BinaryWriter>> = {
    [sectionId.type]: (old) =>
      withEntries(code, old, [
        [0x60, 0, 0],
        [0x60, 1, i32, 1, i32],
      ]),
    [sectionId.table]: () => tables(facts),
    [sectionId.memory]: () => memories(facts, pagesMost),
    // mutable i32, 0
    [sectionId.global]: (old) => withEntries(code, old, [[i32, 1, 0x41, 0, 0x0b]]),
    [sectionId.export]: (old) =>
      withEntries(code, old, [
        exportOf(meterExports.units, externalKind.global, places.unitsGlobal),
        exportOf(meterExports.calls, externalKind.table, places.table),
      ]),
    [sectionId.code]: (old) => meteredCode(code, old, facts, places),
  };
  const module = new BinaryWriter();
  module.add(code.subarray(0, 8));
  const pending = sectionOrder.filter((id) => changes[id] !== undefined);
  const write = (id: number, old: Section | undefined): void => {
    const content = changes[id]!(old);
    module.add([id]);
    module.addSized(content);
  };
  for (const section of facts.sections) {
    const place = sectionOrder.indexOf(section.id);
    while (place >= 0 && pending.length > 0 && sectionOrder.indexOf(pending[0]!) < place)
      write(pending.shift()!, undefined);
    if (pending[0] === section.id) write(pending.shift()!, section);
    else module.add(code.subarray(section.from, section.end));
  }
  for (const id of pending) write(id, undefined);
  return module.bytes();
}

/** A section with more entries behind those that it has. */
function withEntries(code: Uint8Array, old: Section | undefined, added: readonly (readonly number[])[]): BinaryWriter {
  const section = new BinaryWriter();
  const reader = old === undefined ? undefined : new BinaryReader(code, old.at, old.end);
  section.unsigned((reader?.unsigned() ?? 0) + added.length);
  if (reader !== undefined) section.add(code.subarray(reader.at, reader.end));
  for (const entry of added) section.add(entry);
  return section;
}

function tables({ tables: own }: ModuleFacts): BinaryWriter {
  const section = new BinaryWriter();
  section.unsigned(own.length + 1);
  for (const { elementType, limits: size } of own) {
    section.add([elementType, 1]);
    section.unsigned(size.least);
    section.unsigned(Math.max(size.least, Math.min(size.most ?? Number.POSITIVE_INFINITY, limits.wasmTableElements)));
  }
  section.add([funcref, 1, 2, 2]);
  return section;
}

function memories({ memories: own }: ModuleFacts, pagesMost: number): BinaryWriter {
  const section = new BinaryWriter();
  section.unsigned(own.length);
  for (const { least, most } of own) {
    section.add([1]);
    section.unsigned(least);
    section.unsigned(Math.max(least, Math.min(most ?? Number.POSITIVE_INFINITY, pagesMost)));
  }
  return section;
}

function exportOf(name: string, kind: number, index: number): number[] {
  const writer = new BinaryWriter();
  const text = new TextEncoder().encode(name);
  writer.unsigned(text.length);
  writer.add(text);
  writer.add([kind]);
  writer.unsigned(index);
  return [...writer.bytes()];
}

function meteredCode(
  code: Uint8Array,
  old: Section | undefined,
  facts: ModuleFacts,
  places: MeterPlaces,
): BinaryWriter {
  const section = new BinaryWriter();
  const reader = old === undefined ? undefined : new BinaryReader(code, old.at, old.end);
  const count = reader?.unsigned() ?? 0;
  if (count !== facts.functions.length) throw new BinaryError('it has not one body for each function');
  section.unsigned(count);
  for (const type of facts.functions) {
    const sizeBytes = reader!.unsigned();
    const { at } = reader!;
    reader!.skip(sizeBytes);
    const parameters = facts.types[type]!.indexOf(':');
    section.addSized(meterBody(new BinaryReader(code, at, at + sizeBytes), parameters, places));
  }
  return section;
}

function invalid(message: string, mend?: string): MeshError {
  return new MeshError('MESH_TASK_CODE_INVALID', message, mend === undefined ? {} : { mend });
}
