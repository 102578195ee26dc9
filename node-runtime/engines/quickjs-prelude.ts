/** What the guest may ask of its host, by number. `quickjs-host.ts` answers. */
export const hostCalls = {
  log: 0,
  progress: 1,
  text: 2,
  bytes: 3,
  block: 4,
  next: 5,
  count: 6,
  output: 7,
  outputBytes: 8,
  failed: 9,
  decode: 10,
  encode: 11,
  piece: 12,
  files: 13,
  range: 14,
  archive: 15,
} as const;

export const outputKind = { json: 0, text: 1 } as const;

/**
 * How the guest hands over a string: as it is, or in pieces of JSON that went before, because it holds a NUL or half of a
 * surrogate pair.
 */
export const stringForm = { plain: 0, pieces: 1 } as const;

/**
 * The guest's side of a task: a script that gives a function of the host call, which gives
 * `[isFunction, run, parse, fail]`. It takes
 * what it needs of the standard library before any task's code runs. What a task does to its own globals harms only itself;
 * the host checks everything that it is given.
 */
export const quickjsPrelude = `(host) => {
'use strict';
const { parse, stringify } = JSON;
const { isArray } = Array;
const { isView } = ArrayBuffer;
const { keys, freeze, defineProperty } = Object;
const call = Function.prototype.call;
const uncurry = (method) => call.bind(method);
const slice = uncurry(String.prototype.slice);
const split = uncurry(String.prototype.split);
const indexOf = uncurry(String.prototype.indexOf);
const charCodeAt = uncurry(String.prototype.charCodeAt);
const isWellFormed = uncurry(String.prototype.isWellFormed);
const resolve = Promise.resolve.bind(Promise);
const reject = Promise.reject.bind(Promise);
const set = uncurry(Uint8Array.prototype.set);
const join = uncurry(Array.prototype.join);
const map = uncurry(Array.prototype.map);
const then = uncurry(Promise.prototype.then);
const OutOfMemory = InternalError;
const StringOf = String;
const NumberOf = Number;
const Bytes = Uint8Array;
const Buffer = ArrayBuffer;

const outOfMemory = () => new OutOfMemory('out of memory');
const must = (value) => {
  if (value === undefined) throw outOfMemory();
  return value;
};
const isPlain = (text) => indexOf(text, '\\0') < 0 && isWellFormed(text);

const load = (slot, encoding) => {
  if (encoding === 'bytes') return new Bytes(must(host(${hostCalls.bytes}, slot)));
  const text = must(host(${hostCalls.text}, slot));
  return encoding === 'json' ? parse(text) : text;
};

const encodeText = (value) => {
  const text = StringOf(value);
  if (isPlain(text)) return new Bytes(must(host(${hostCalls.encode}, text, ${stringForm.plain})));
  givePieces(text);
  return new Bytes(must(host(${hostCalls.encode}, '', ${stringForm.pieces})));
};
const decodeText = (bytes) =>
  bytes.byteLength === 0 ? '' : must(host(${hostCalls.decode}, bytes.buffer, bytes.byteOffset, bytes.byteLength, false));
const bytesOfContent = (content, name) => {
  if (typeof content === 'string') return encodeText(content);
  if (content instanceof Buffer) return new Bytes(content);
  if (isView(content)) return new Bytes(content.buffer, content.byteOffset, content.byteLength);
  throw new TypeError('the content of the file "' + name + '" must be a string or bytes');
};

/** An archive of tar without its end, so that archives one after the other are one. */
const archiveOf = (contents) => {
  const names = keys(contents);
  const files = map(names, (name) => bytesOfContent(contents[name], name));
  let size = 0;
  for (let at = 0; at < files.length; at++) size += 512 + (files[at].byteLength + 511 - ((files[at].byteLength + 511) % 512));
  const archive = new Bytes(size);
  let end = 0;
  for (let at = 0; at < files.length; at++) {
    const header = host(${hostCalls.archive}, stringify(names[at]), files[at].byteLength);
    if (typeof header === 'string') throw new TypeError(header);
    set(archive, new Bytes(must(header)), end);
    set(archive, files[at], end + 512);
    end += 512 + (files[at].byteLength + 511 - ((files[at].byteLength + 511) % 512));
  }
  return archive;
};

const linesOf = (text) => {
  let carriage = indexOf(text, '\\r');
  if (carriage < 0) {
    const lines = split(text, '\\n');
    if (lines[lines.length - 1] === '') lines.length--;
    return lines;
  }
  const lines = [];
  let feed = indexOf(text, '\\n');
  let at = 0;
  while (at < text.length) {
    if (feed < 0 && carriage < 0) {
      lines[lines.length] = slice(text, at);
      break;
    }
    const end = carriage < 0 || (feed >= 0 && feed < carriage) ? feed : carriage;
    lines[lines.length] = slice(text, at, end);
    at = end === carriage && feed === end + 1 ? end + 2 : end + 1;
    if (carriage >= 0 && carriage < at) carriage = indexOf(text, '\\r', at);
    if (feed >= 0 && feed < at) feed = indexOf(text, '\\n', at);
  }
  return lines;
};

class Records {
  #by;
  #size;
  #offset = 0;
  #block = [];
  #at = 0;
  constructor(by, size) {
    this.#by = by;
    this.#size = size;
  }
  next() {
    while (this.#at >= this.#block.length) {
      if (this.#offset >= this.#size) return { value: undefined, done: true };
      const text = must(host(${hostCalls.block}, this.#offset));
      this.#offset = host(${hostCalls.next});
      this.#block = this.#by === 'items' ? parse(text) : linesOf(text);
      this.#at = 0;
    }
    return { value: this.#block[this.#at++], done: false };
  }
  return(value) {
    this.#offset = this.#size;
    this.#block = [];
    this.#at = 0;
    return { value, done: true };
  }
  [Symbol.iterator]() {
    return this;
  }
}

class InputFile {
  #start;
  #size;
  constructor(name, start, size) {
    defineProperty(this, 'name', { value: name, enumerable: true });
    this.#start = start;
    this.#size = size;
  }
  get sizeBytes() {
    return this.#size;
  }
  bytes() {
    return this.#size === 0 ? new Bytes(0) : new Bytes(must(host(${hostCalls.range}, this.#start, this.#size)));
  }
  text() {
    return decodeText(this.bytes());
  }
  json() {
    return parse(this.text());
  }
}
const filesOf = () =>
  map(parse(must(host(${hostCalls.files}))), ([name, start, size]) => new InputFile(name, start, size));
const blocksOf = (size) => (size === 0 ? [] : [load(0, 'bytes')]);

/** Records that are few and there at once. */
class ListedRecords {
  #make;
  #list;
  #at = 0;
  constructor(make) {
    this.#make = make;
  }
  next() {
    this.#list ??= this.#make();
    if (this.#at >= this.#list.length) return { value: undefined, done: true };
    return { value: this.#list[this.#at++], done: false };
  }
  return(value) {
    this.#list = [];
    return { value, done: true };
  }
  [Symbol.iterator]() {
    return this;
  }
}
const recordsOf = (by, size) =>
  by === 'files'
    ? new ListedRecords(filesOf)
    : by === 'bytes'
      ? new ListedRecords(() => blocksOf(size))
      : new Records(by, size);

class AsyncRecords {
  #records;
  constructor(records) {
    this.#records = records;
  }
  next() {
    try {
      return resolve(this.#records.next());
    } catch (error) {
      return reject(error);
    }
  }
  return(value) {
    return resolve(this.#records.return(value));
  }
  [Symbol.asyncIterator]() {
    return this;
  }
}

class TaskInput {
  #by;
  #size;
  #start;
  constructor(by, size, start) {
    this.#by = by;
    this.#size = size;
    this.#start = start;
  }
  get start() {
    return this.#start;
  }
  get length() {
    return host(${hostCalls.count});
  }
  get sizeBytes() {
    return this.#size;
  }
  text() {
    return this.#size === 0 ? '' : load(0, 'text');
  }
  json() {
    return parse(this.#by === 'items' ? '[' + this.text() + ']' : this.text());
  }
  bytes() {
    return this.#size === 0 ? new Bytes(0) : load(0, 'bytes');
  }
  [Symbol.iterator]() {
    return recordsOf(this.#by, this.#size);
  }
  [Symbol.asyncIterator]() {
    return new AsyncRecords(recordsOf(this.#by, this.#size));
  }
}

class TextOutput {
  #value;
  constructor(value) {
    this.#value = StringOf(value);
  }
  static valueOf(output) {
    return typeof output === 'object' && output !== null && #value in output ? output.#value : undefined;
  }
}

const show = (value) => {
  if (typeof value === 'string') return value;
  try {
    if (value instanceof Error) return value + (value.stack ? '\\n' + value.stack : '');
    if (typeof value === 'object' && value !== null) {
      const text = stringify(value);
      if (text !== undefined) return text;
    }
    return StringOf(value);
  } catch {
    return '[unreadable value]';
  }
};
const log = (...values) => {
  host(${hostCalls.log}, stringify(slice(join(map(values, show), ' '), 0, 100000)));
};
const progress = (fraction) => {
  host(${hostCalls.progress}, NumberOf(fraction));
};

const lazily = (target, name, make) => {
  defineProperty(target, name, {
    enumerable: true,
    configurable: true,
    get() {
      const value = make();
      defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
      return value;
    },
  });
};

const makeTask = (meta) => {
  const needs = {};
  let slot = 0;
  if (meta.needs) {
    for (const name of keys(meta.needs)) {
      const encodings = meta.needs[name];
      const first = slot;
      slot += isArray(encodings) ? encodings.length : 1;
      lazily(needs, name, () =>
        isArray(encodings) ? map(encodings, (encoding, index) => load(first + index, encoding)) : load(first, encodings),
      );
    }
  }
  const task = {
    input: new TaskInput(meta.by, meta.size, meta.start ?? 0),
    needs,
    parameters: meta.parameters,
    progress,
    log,
    text: (value) => new TextOutput(value),
    files: archiveOf,
  };
  const { parts } = meta;
  lazily(task, 'parts', () => (parts ? map(parts, (encoding, index) => load(index, encoding)) : []));
  return task;
};

const givePieces = (text) => {
  let at = 0;
  while (at < text.length) {
    let end = at + 65536;
    const code = charCodeAt(text, end - 1);
    if (code >= 0xd800 && code < 0xdc00) end++;
    must(host(${hostCalls.piece}, stringify(slice(text, at, end))));
    at = end;
  }
};
const giveText = (text) => {
  if (isPlain(text)) return must(host(${hostCalls.output}, ${outputKind.text}, text, ${stringForm.plain}));
  givePieces(text);
  must(host(${hostCalls.output}, ${outputKind.text}, '', ${stringForm.pieces}));
};
const give = (result) => {
  const text = TextOutput.valueOf(result);
  if (text !== undefined) return giveText(text);
  if (result instanceof Buffer) return must(host(${hostCalls.outputBytes}, result, 0, result.byteLength));
  if (isView(result)) return must(host(${hostCalls.outputBytes}, result.buffer, result.byteOffset, result.byteLength));
  let json;
  try {
    json = result === undefined ? 'null' : stringify(result);
  } catch (error) {
    return fail('output', error);
  }
  if (json === undefined) return fail('output', new TypeError('a ' + typeof result + ' has no JSON'));
  must(host(${hostCalls.output}, ${outputKind.json}, json, ${stringForm.plain}));
};

const read = (value, name) => {
  try {
    const text = value[name];
    return typeof text === 'string' ? slice(text, 0, 2000) : '';
  } catch {
    return '';
  }
};
const fail = (phase, error) => {
  const told = { phase, kind: typeof error, name: '', message: '', stack: '' };
  if ((typeof error === 'object' && error !== null) || typeof error === 'function') {
    told.name = read(error, 'name');
    told.message = read(error, 'message');
    told.stack = read(error, 'stack');
    if (told.name === '' && told.message === '') told.message = slice(show(error), 0, 2000);
  } else {
    told.kind = error === null ? 'null' : typeof error;
    told.message = slice(show(error), 0, 2000);
  }
  host(${hostCalls.failed}, stringify(told));
};

const run = async (main, metaText) => {
  try {
    give(await main(makeTask(parse(metaText))));
  } catch (error) {
    fail('run', error);
  }
};

globalThis.console = { log, info: log, warn: log, error: log, debug: log };
globalThis.queueMicrotask = (callback) => {
  then(resolve(), () => callback());
};
globalThis.TextEncoder = class TextEncoder {
  get encoding() {
    return 'utf-8';
  }
  encode(value = '') {
    return encodeText(value);
  }
};
globalThis.TextDecoder = class TextDecoder {
  #fatal;
  #ignoreBom;
  constructor(label = 'utf-8', options = {}) {
    const name = StringOf(label).toLowerCase();
    if (name !== 'utf-8' && name !== 'utf8') throw new RangeError('TextDecoder: only utf-8 is here');
    this.#fatal = options.fatal === true;
    this.#ignoreBom = options.ignoreBOM === true;
  }
  get encoding() {
    return 'utf-8';
  }
  decode(view) {
    if (view === undefined) return '';
    const whole = view instanceof Buffer;
    if (!whole && !isView(view)) throw new TypeError('TextDecoder: not bytes');
    const text = whole
      ? host(${hostCalls.decode}, view, 0, view.byteLength, this.#fatal)
      : host(${hostCalls.decode}, view.buffer, view.byteOffset, view.byteLength, this.#fatal);
    if (text === null) throw new TypeError('TextDecoder: invalid UTF-8');
    return !this.#ignoreBom && must(text)[0] === '\\ufeff' ? slice(text, 1) : must(text);
  }
};
freeze(TextOutput);
return [(value) => typeof value === 'function', run, parse, fail];
}`;
