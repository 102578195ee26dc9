import { access, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { type JobSpec, jobSpec, limits, MeshError } from '../contract/index.ts';
import { type ArchivedFile, listArchive } from './archive.ts';
import { filesOfPattern, isPattern } from './glob.ts';
import { parseParameter, takeParameters } from './parameters.ts';
import { Positions } from './positions.ts';
import { MeshErrors, usageError } from './report.ts';
import { type Signing, signedCode } from './sign-code.ts';
import { explainIssues } from './spec-issues.ts';
import { bytesText, nearest } from './text.ts';

/** A file that a job file names in place of a blob. */
export interface FileReference {
  readonly stage: string;
  readonly kind: 'code' | 'input' | 'merge' | 'file';
  /** Of code for engine `node`: what its author says of it. */
  readonly signing?: Signing;
  /** Of a `file`: the path under which programs see it. */
  readonly name?: string;
  readonly path: string;
  /** As it was written: for messages. */
  readonly shown: string;
  /** Where it was named. */
  readonly where: string;
  readonly sizeBytes: number;
  /** The files of an archive that is made as it is sent. */
  readonly archived?: readonly ArchivedFile[];
}

/** A checked job file: the spec with a stand-in wherever a file is named. */
export interface JobFile {
  readonly shown: string;
  /** What an id is made of. */
  readonly name: string;
  readonly spec: JobSpec;
  readonly files: readonly FileReference[];
}

export interface JobFileOptions {
  readonly directory: string;
  /** `stage=FILE` or `FILE`, as `--input` has them; for a stage that is split by files, patterns. */
  readonly inputs?: readonly string[];
  /** `NAME=VALUES` or `STAGE.NAME=VALUES`, as `--param` has them. */
  readonly parameters?: readonly string[];
}

const jobFileNames = ['job.yaml', 'job.yml', 'job.json'];
const mergeWords = ['array', 'concat'];
const standIn = { blob: `sha256-${'0'.repeat(64)}`, sizeBytes: 0 };
const fileKinds = ['code', 'input', 'merge'] as const;
const expectations = {
  code: 'the path of a file (or a mapping with `inline`, with `blob` and `sizeBytes`, or with `file` and `engine: node`)',
  input:
    'the path of a file (or a mapping with `inline`, or with `blob` and `sizeBytes`; a list of paths with `split: files`)',
  merge: '"array", "concat" or the path of a file',
  files: 'a mapping of paths that programs see to paths of files',
  split: '"lines", "items", "files" or a mapping with `by` and `chunks`, or with `by: bytes` and `size`',
  estimate: 'seconds, or a number with ms, s, min, h or d ("20s")',
  deadline: 'a duration ("2h"), or a time with its offset ("2026-12-24T18:00:00+01:00")',
  retention: 'seconds, or a number with ms, s, min, h or d ("7d")',
  schedule: 'cron ("0 3 * * *"), or a mapping with `cron`, `timezone`, `catchUp` and `overlap`',
  stages: 'a mapping of stages by name',
};

interface Named extends Omit<FileReference, 'sizeBytes' | 'archived'> {
  /** Paths and patterns, from `directory`, of files that become one input. */
  readonly patterns?: readonly string[];
  readonly directory: string;
}

/** A module of WebAssembly, by its name: a program, which is not bundled. */
export function isProgram(path: string): boolean {
  return extname(path) === '.wasm';
}

/**
 * Reads a job file (YAML 1.2 or JSON): the spec's own schema, but `code`, `input` and `merge` may be paths from the file's
 * folder. Throws `MeshErrors` with all that is wrong and where, or one `MeshError`.
 */
export async function loadJobFile(file: string, options: JobFileOptions): Promise<JobFile> {
  const path = resolve(options.directory, file);
  const lines = new LineCounter();
  const text = await readText(path, file);
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    version: '1.2',
    // JSON's own rules for scalars: an unquoted word is an error, not a string.
    ...(extname(path) === '.json' ? { schema: 'json' } : {}),
  });
  const positions = new Positions(file, document.contents, lines);
  if (document.errors.length > 0) {
    throw new MeshErrors(
      document.errors.map(
        ({ code, message, pos }) =>
          new MeshError(
            'MESH_SPEC_INVALID',
            code === 'DUPLICATE_KEY' ? `${keyAt(text, pos[0])} is there twice` : message,
            {
              where: positions.atOffset(pos[0]),
            },
          ),
      ),
    );
  }
  const value = toValue(document, positions);
  delete value.$schema; // for editors
  takeParameters(stagesOf(value), (options.parameters ?? []).map(parseParameter));
  const overrides = takeInputs(value, options);
  const named = takeFiles(value, path, positions, overrides, options.directory);
  const parsed = jobSpec.safeParse(value);
  const wrong = parsed.success
    ? []
    : explainIssues(parsed.error.issues, value, jobSpec, expectations).map(
        ({ path: at, at: which, message }) =>
          new MeshError('MESH_SPEC_INVALID', message, { where: positions.at(at, which) }),
      );
  if (parsed.success) wrong.push(...(await scheduleProblems(parsed.data, positions)));
  const { files, problems } = await measure(named);
  const errors = [...wrong, ...problems];
  if (errors.length > 0) throw new MeshErrors(errors.sort(byPosition));
  return { shown: file, name: parsed.data!.name ?? nameOf(path), spec: parsed.data!, files };
}

/** In quotes, as it is written or not. */
function keyAt(text: string, offset: number): string {
  const [, quoted, plain] = /(?:["'](.*?)["']|([^\s:,{}]+))/y.exec(text.slice(offset)) ?? [];
  return `"${quoted ?? plain ?? ''}"`;
}

/** The job file that is meant: of a folder, its `job.yaml`. Throws `MESH_USAGE` where there is none. */
export async function findJobFile(what: string, directory: string): Promise<string> {
  const path = resolve(directory, what);
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory() !== true) return what;
  for (const name of jobFileNames) {
    const isThere = await access(join(path, name)).then(
      () => true,
      () => false,
    );
    if (isThere) return join(what, name);
  }
  throw usageError(
    `there is no job file in ${what === '.' ? 'this folder' : what}`,
    `it would be called ${jobFileNames[0]}; \`foremesh new NAME\` makes one`,
  );
}

/** What the schema cannot see of a schedule. */
async function scheduleProblems({ schedule }: JobSpec, positions: Positions): Promise<MeshError[]> {
  if (schedule === undefined) return [];
  const { occurrencesOf } = await import('@foremesh/partitioner/occurrences');
  const occurrences = occurrencesOf(schedule);
  if (typeof occurrences !== 'string') return [];
  return [new MeshError('MESH_SPEC_INVALID', occurrences, { where: positions.at(['schedule']) })];
}

async function readText(path: string, shown: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw usageError(`there is no job file ${shown}`);
    if (code === 'EISDIR') throw usageError(`${shown} is a folder, not a job file`, `perhaps ${shown}/job.yaml?`);
    throw usageError(`cannot read ${shown}: ${message}`);
  }
}

function toValue(document: ReturnType<typeof parseDocument>, positions: Positions): Record<string, unknown> {
  let value: unknown;
  try {
    value = document.toJS(); // an alias bomb throws
  } catch (error) {
    throw new MeshError('MESH_SPEC_INVALID', (error as Error).message, { where: positions.at([]) });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new MeshError('MESH_SPEC_INVALID', 'a job file is a mapping with `stages`', { where: positions.at([]) });
}

function stagesOf(value: Record<string, unknown>): [string, Record<string, unknown>][] {
  const stages = (value.stages ?? {}) as Record<string, unknown>;
  if (typeof stages !== 'object') return [];
  return Object.entries(stages).filter((entry): entry is [string, Record<string, unknown>] => {
    return typeof entry[1] === 'object' && entry[1] !== null;
  });
}

/** Puts the files of `--input` in their stages. Returns which stage has which. */
function takeInputs(value: Record<string, unknown>, { inputs = [] }: JobFileOptions): Set<string> {
  const stages = stagesOf(value);
  const overrides = new Map<string, string[]>();
  for (const text of inputs) {
    const [, name, rest] = /^([A-Za-z0-9_-]+)=(.+)$/s.exec(text) ?? [];
    const known = name !== undefined && stages.some(([stage]) => stage === name);
    const first = stages.filter(([, stage]) => stage.needs === undefined);
    if (!known && (name !== undefined || first.length !== 1)) throw wrongInput(text, name, stages, first);
    const [stage, content] = known ? stages.find(([each]) => each === name)! : first[0]!;
    const before = overrides.get(stage) ?? [];
    if (before.length > 0 && !isByFiles(content)) {
      throw usageError(`--input is given twice for stage "${stage}"`, 'several files go with `split: files`');
    }
    overrides.set(stage, [...before, known ? rest! : text]);
  }
  for (const [name, stage] of stages) {
    const given = overrides.get(name);
    if (given !== undefined) stage.input = isByFiles(stage) ? given : given[0];
  }
  return new Set(overrides.keys());
}

function isByFiles({ split }: Record<string, unknown>): boolean {
  return split === 'files' || (typeof split === 'object' && split !== null && 'by' in split && split.by === 'files');
}

function wrongInput(
  text: string,
  name: string | undefined,
  stages: readonly (readonly [string, unknown])[],
  first: readonly (readonly [string, unknown])[],
): MeshError {
  const names = stages.map(([stage]) => stage);
  if (name === undefined) {
    return usageError(
      `--input ${text}: which stage? ${first.length} stages could read it`,
      `write --input STAGE=${text}`,
    );
  }
  const suggestion = nearest(name, names);
  return usageError(
    `--input ${text}: there is no stage "${name}"${suggestion === undefined ? '' : `; did you mean "${suggestion}"?`}`,
    `the stages are ${names.join(', ')}`,
  );
}

/** Takes paths out of the value, leaving stand-ins that fit the schema, so that the schema judges all the rest. */
function takeFiles(
  value: Record<string, unknown>,
  file: string,
  positions: Positions,
  overrides: ReadonlySet<string>,
  directory: string,
): Named[] {
  const named: Named[] = [];
  for (const [stage, content] of stagesOf(value)) {
    named.push(...takeProgramFiles(stage, content, file, positions));
    for (const kind of fileKinds) {
      const signing = kind === 'input' ? undefined : signedCode.safeParse(content[kind]).data;
      const listed = kind === 'input' && isByFiles(content) ? content.input : undefined;
      const written = Array.isArray(listed) && listed.length === 1 ? listed[0] : (signing?.file ?? content[kind]);
      const patterns = kind === 'input' && isByFiles(content) ? patternsOf(written) : undefined;
      if (patterns === undefined && typeof written !== 'string') continue;
      if (kind === 'merge' && mergeWords.includes(written as string)) continue;
      const override = kind === 'input' && overrides.has(stage);
      const base = override ? directory : dirname(file);
      const shown = patterns === undefined ? (written as string) : patterns.join(', ');
      named.push({
        stage,
        kind,
        shown,
        path: resolve(base, shown),
        ...(signing === undefined ? {} : { signing }),
        where: override ? `--input ${stage}` : positions.at(['stages', stage, kind]),
        ...(patterns === undefined ? {} : { patterns }),
        directory: base,
      });
      content[kind] = kind === 'input' ? { ...standIn } : { ...standIn, engine: isProgram(shown) ? 'wasm' : 'js' };
    }
  }
  return named;
}

/** Of a stage that is split by files; a single archive of tar holds its files already. */
function patternsOf(written: unknown): readonly string[] | undefined {
  if (typeof written === 'string') return extname(written) === '.tar' && !isPattern(written) ? undefined : [written];
  if (!Array.isArray(written) || written.length === 0) return undefined;
  return written.every((each) => typeof each === 'string') ? written : undefined;
}

async function archiveOf(reference: Named, patterns: readonly string[]): Promise<FileReference> {
  const { stage, kind, path, where, directory } = reference;
  const paths: { path: string; shown: string }[] = [];
  for (const pattern of patterns) {
    const found = isPattern(pattern) ? await filesOfPattern(pattern, directory) : [pattern];
    if (found.length === 0) throw new MeshError('MESH_SPEC_INVALID', `no file is called ${pattern}`, { where });
    paths.push(...found.map((shown) => ({ path: resolve(directory, shown), shown })));
  }
  const { files, sizeBytes } = await listArchive(paths, where);
  return {
    stage,
    kind,
    path,
    where,
    shown: files.length === 1 ? files[0]!.name : `${files.length} files`,
    sizeBytes,
    archived: files,
  };
}

/** Of `files: { "model.bin": path }`. */
function takeProgramFiles(
  stage: string,
  content: Record<string, unknown>,
  file: string,
  positions: Positions,
): Named[] {
  const { files } = content;
  if (typeof files !== 'object' || files === null || Array.isArray(files)) return [];
  const named: Named[] = [];
  const filled: Record<string, unknown> = {};
  for (const [name, shown] of Object.entries(files)) {
    filled[name] = typeof shown === 'string' ? { ...standIn } : shown;
    if (typeof shown !== 'string') continue;
    const where = positions.at(['stages', stage, 'files', name]);
    named.push({
      stage,
      kind: 'file',
      name,
      shown,
      path: resolve(dirname(file), shown),
      where,
      directory: dirname(file),
    });
  }
  content.files = filled;
  return named;
}

async function measure(named: readonly Named[]): Promise<{ files: FileReference[]; problems: MeshError[] }> {
  const files: FileReference[] = [];
  const problems: MeshError[] = [];
  for (const reference of named) {
    const { kind, shown, path, where, patterns } = reference;
    try {
      if (patterns !== undefined) {
        files.push(await archiveOf(reference, patterns));
        continue;
      }
      const status = await stat(path);
      if (!status.isFile()) {
        problems.push(new MeshError('MESH_SPEC_INVALID', `${shown} is not a file`, { where }));
      } else if (mostBytesOf(kind) < status.size) {
        const name = kind === 'file' ? 'filesBytes' : 'blobBytes';
        const message = `${name} is ${bytesText(limits[name])}, ${shown} has ${bytesText(status.size)}`;
        problems.push(new MeshError('MESH_LIMIT_EXCEEDED', message, { where }));
      } else {
        files.push({ ...reference, sizeBytes: status.size });
      }
    } catch (error) {
      if (error instanceof MeshError) {
        problems.push(error);
        continue;
      }
      const { code, message } = error as NodeJS.ErrnoException;
      const word = kind === 'merge' ? nearest(shown, mergeWords) : undefined;
      const pattern = kind === 'input' && isPattern(shown) ? '; a pattern goes with `split: files`' : '';
      const hint = word === undefined ? pattern : `; did you mean the word "${word}"?`;
      const text = code === 'ENOENT' || code === 'ENOTDIR' ? `there is no file ${shown}${hint}` : message;
      problems.push(new MeshError('MESH_SPEC_INVALID', text, { where }));
    }
  }
  return { files, problems };
}

/** Code is measured when it has been made. */
function mostBytesOf(kind: FileReference['kind']): number {
  if (kind === 'file') return limits.filesBytes;
  return kind === 'input' ? limits.blobBytes : Number.POSITIVE_INFINITY;
}

/** `job.yaml` in `flights/` is the job `flights`. */
function nameOf(path: string): string {
  const base = basename(path, extname(path));
  const folder = basename(dirname(path));
  return /^(job|foremesh|index)$/i.test(base) && folder !== '' ? folder : base;
}

function byPosition(a: MeshError, b: MeshError): number {
  const numbers = ({ where }: MeshError) =>
    /:(\d+):(\d+)$/
      .exec(where ?? '')
      ?.slice(1)
      .map(Number) ?? [0, 0];
  const [lineA, columnA] = numbers(a);
  const [lineB, columnB] = numbers(b);
  return lineA! - lineB! || columnA! - columnB!;
}
