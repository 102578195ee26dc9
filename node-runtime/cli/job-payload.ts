import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { type DataReference, type JobSpec, limits, MeshError } from '../contract/index.ts';
import { InlineRoom, inlineContentBytes } from '../sdk/inline.ts';
import { type FileReference, isProgram, type JobFile } from './job-file.ts';

/** What bundling needs: `@foremesh/author`, when it is installed. */
export interface Bundler {
  bundleTask(
    entryFile: string,
    engine?: 'js' | 'node',
  ): Promise<{ readonly code: Uint8Array; readonly warnings: readonly BundleWarning[] }>;
}
export interface BundleWarning {
  readonly message: string;
  readonly where?: string;
}

export interface BundledCode {
  /** By the path of the entry file. */
  readonly code: ReadonlyMap<string, Uint8Array>;
  readonly warnings: readonly BundleWarning[];
}

export interface UploadProgress {
  readonly shown: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

type Put = (
  source: Uint8Array | string,
  options: { onProgress?: (progress: { doneBytes: number; totalBytes: number }) => void },
) => Promise<DataReference>;

/** Bundles every code file of a job, each once. Throws what the bundler throws, or `MESH_NOT_INSTALLED`. */
export async function bundleFiles(job: JobFile, bundler: Bundler | undefined): Promise<BundledCode> {
  const code = new Map<string, Uint8Array>();
  const warnings: BundleWarning[] = [];
  for (const file of job.files) {
    if (file.kind === 'input' || file.kind === 'file') continue;
    if (isProgram(file.path)) code.set(file.path, await readProgram(file, job));
    if (code.has(keyOf(file))) continue;
    if (bundler === undefined) {
      code.set(keyOf(file), await readPlain(file));
      continue;
    }
    const bundled = await bundler.bundleTask(file.path, file.signing === undefined ? 'js' : 'node');
    code.set(keyOf(file), bundled.code);
    warnings.push(...bundled.warnings);
  }
  return { code, warnings };
}

/** One file may be code for two engines. */
function keyOf({ path, signing }: FileReference): string {
  return signing === undefined ? path : `node:${path}`;
}

/** As it is, once it has been looked at as a node will. */
async function readProgram({ path, stage, where }: FileReference, job: JobFile): Promise<Uint8Array> {
  const bytes = await readFile(path);
  const { memoryMiB } = job.spec.stages[stage]?.limits ?? {};
  const { checkProgram } = await import('../engines/wasm/check-program.ts');
  await checkProgram(bytes, memoryMiB === undefined ? limits.memoryBytesDefault : memoryMiB * 1024 ** 2, where);
  return bytes;
}

async function readPlain({ path, shown, where }: FileReference): Promise<Uint8Array> {
  if (extname(path) !== '.js' && extname(path) !== '.mjs') {
    throw new MeshError(
      'MESH_NOT_INSTALLED',
      `${shown} has to be bundled by @foremesh/author, which is not installed`,
      {
        where,
        mend: 'npm install @foremesh/author (a .js file without imports needs no bundling)',
      },
    );
  }
  const bytes = await readFile(path);
  if (bytes.length > limits.codeBytes) {
    throw new MeshError('MESH_LIMIT_EXCEEDED', `codeBytes is ${limits.codeBytes}, ${shown} has ${bytes.length}`, {
      where,
    });
  }
  return bytes;
}

/** Replaces every stand-in of a job file's spec: small files inline, others as blobs that are put now. */
export async function fillSpec(
  job: JobFile,
  bundled: BundledCode,
  put: Put,
  onProgress: (progress: UploadProgress) => void,
): Promise<JobSpec> {
  const spec = structuredClone(job.spec);
  const room = new InlineRoom();
  for (const file of job.files) {
    const stage = spec.stages[file.stage]!;
    const content = await contentOf(file, bundled);
    const isCode = file.kind === 'code' || file.kind === 'merge';
    const isBinary = isCode && isProgram(file.path);
    const text = content === undefined || isBinary ? undefined : room.take(content);
    const source = content ?? file.path;
    const watched = !isCode
      ? { onProgress: (progress: object) => onProgress({ shown: file.shown, ...(progress as Counts) }) }
      : {};
    const data = text !== undefined ? { inline: text } : await put(source, watched);
    if (file.kind === 'input') stage.input = data;
    else if (file.kind === 'file') stage.files = { ...stage.files, [file.name!]: data };
    else stage[file.kind] = codeOf(data, isBinary);
  }
  return spec;
}

function codeOf(
  data: DataReference | { readonly inline: string },
  isBinary: boolean,
): JobSpec['stages'][string]['code'] {
  return { ...data, engine: isBinary ? 'wasm' : 'js' };
}

type Counts = { readonly doneBytes: number; readonly totalBytes: number };

/** The bytes of code and of small inputs and files; a larger one is read from its file as it is sent. */
async function contentOf(file: FileReference, bundled: BundledCode): Promise<Uint8Array | undefined> {
  if (file.kind === 'code' || file.kind === 'merge') return bundled.code.get(keyOf(file))!;
  if (file.sizeBytes > inlineContentBytes) return undefined;
  try {
    return await readFile(file.path);
  } catch (error) {
    throw new MeshError('MESH_STORAGE_FAILED', `cannot read ${file.shown}: ${(error as Error).message}`, {
      where: file.where,
      cause: error,
    });
  }
}
