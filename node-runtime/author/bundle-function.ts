import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MeshError } from '@foremesh/node-runtime/contract';
import { transform } from 'esbuild';
import { type BundledTask, bundleModule } from './bundle-task.ts';

/** A function of a graph: as the SDK hands it over. */
export type FunctionSource =
  | { readonly kind: 'text'; readonly name: string; readonly text: string }
  | { readonly kind: 'module'; readonly path: string | URL; readonly exportName: string };

/** What QuickJS in the sandbox has, besides the words of the language. */
const sandboxGlobals = new Set([
  ...[
    'undefined',
    'NaN',
    'Infinity',
    'globalThis',
    'arguments',
    'console',
    'queueMicrotask',
    'TextEncoder',
    'TextDecoder',
  ],
  ...[
    'Object',
    'Function',
    'Array',
    'String',
    'Number',
    'Boolean',
    'Symbol',
    'BigInt',
    'Math',
    'JSON',
    'Reflect',
    'Proxy',
  ],
  ...['Date', 'RegExp', 'Promise', 'Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'FinalizationRegistry', 'Atomics'],
  ...['Error', 'AggregateError', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError'],
  ...['ArrayBuffer', 'SharedArrayBuffer', 'DataView', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array'],
  ...['Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'],
  ...[
    'parseInt',
    'parseFloat',
    'isNaN',
    'isFinite',
    'encodeURI',
    'encodeURIComponent',
    'decodeURI',
    'decodeURIComponent',
  ],
]);

/** What engine `node` has: this Node.js, and `require` for its modules. */
const nodeGlobals = new Set([...sandboxGlobals, ...Object.getOwnPropertyNames(globalThis), 'require']);

const reserved = new Set(
  (
    'await break case catch class const continue debugger default delete do else enum export extends false finally for ' +
    'function if import in instanceof let new null return static super switch this throw true try typeof var void while ' +
    'with yield'
  ).split(' '),
);

/** Compilers that keep the names of functions (tsx does) call this one; the name is all that it is for. */
const nameKeeper = '__name';

/**
 * Bundles one function and the module around it, which calls it `code`. Throws `MESH_TASK_CODE_INVALID` for a function
 * that uses something from outside of itself: its source alone travels.
 */
export async function bundleFunction(
  source: FunctionSource,
  runner: string,
  engine: 'js' | 'node' = 'js',
): Promise<BundledTask> {
  if (source.kind === 'module') {
    const path = typeof source.path === 'string' ? resolve(source.path) : fileOf(source.path);
    const specifier = JSON.stringify(`./${basename(path)}`);
    const imported = source.exportName === 'default' ? 'code' : `{ ${source.exportName} as code }`;
    return bundleModule({ contents: `import ${imported} from ${specifier};\n${runner}`, entry: path, engine });
  }
  const free = await freeNames(source, engine === 'node' ? nodeGlobals : sandboxGlobals);
  if (free.length > 0) throw captures(source.name, free);
  const keeper = source.text.includes(nameKeeper) ? `const ${nameKeeper} = (value) => value;\n` : '';
  // No file: its bytes, and so the hash that names them, depend on the text alone.
  return bundleModule({
    contents: `${keeper}const code = (${source.text});\n${runner}`,
    entry: resolve(`${source.name}.js`),
    engine,
  });
}

function fileOf(url: URL): string {
  if (url.protocol === 'file:') return fileURLToPath(url);
  throw new MeshError('MESH_TASK_CODE_INVALID', `"${url.href}" is no file of this machine`, {
    mend: 'save it beside the program: new URL("./task.ts", import.meta.url)',
  });
}

/**
 * The names that a function uses and that nothing inside of it declares. The bundler knows scopes: it is told to replace every
 * name that occurs where it is free, and what was replaced was free.
 */
async function freeNames(
  { name, text }: FunctionSource & { kind: 'text' },
  globals: ReadonlySet<string>,
): Promise<string[]> {
  const words = new Set(text.match(/[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/gu));
  const candidates = [...words].filter((word) => !reserved.has(word) && !globals.has(word) && word !== nameKeeper);
  const mark = unusedMark(text);
  const define = Object.fromEntries(candidates.map((word, index) => [word, `${mark}${index}_`]));
  let code: string;
  try {
    code = (
      await transform(`(${text})`, { loader: 'js', target: 'es2023', define, logLevel: 'silent', charset: 'utf8' })
    ).code;
  } catch (error) {
    const [first] = (error as { errors?: { text: string }[] }).errors ?? [];
    throw new MeshError(
      'MESH_TASK_CODE_INVALID',
      `the source of the function does not parse: ${first?.text ?? error}`,
      {
        where: name,
        mend: 'write it in a module of its own, and hand over the path of that',
        cause: error,
      },
    );
  }
  return candidates.filter((_, index) => code.includes(`${mark}${index}_`));
}

function unusedMark(text: string): string {
  let mark = '__free';
  while (text.includes(mark)) mark += '_';
  return mark;
}

function captures(name: string, free: readonly string[]): MeshError {
  const shown = free
    .slice(0, 8)
    .map((each) => `\`${each}\``)
    .join(', ');
  return new MeshError(
    'MESH_TASK_CODE_INVALID',
    `the function uses ${shown}${free.length > 8 ? ' and more' : ''} from outside of itself, and only its source travels`,
    {
      where: name,
      mend: 'hand values over as `parameters` of the stage (`task.parameters`), or write the function in a module that imports what it needs and hand over its path',
    },
  );
}
