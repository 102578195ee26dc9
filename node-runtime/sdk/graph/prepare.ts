import {
  bytesOf,
  checkLimit,
  type DataReference,
  encodeJson,
  type JobSpecInput,
  limits,
  MeshError,
} from '../../contract/index.ts';
import { archiveOf } from '../../data/archive.ts';
import type { BlobSource, SlicedBytes } from '../../data/upload-source.ts';
import { InlineRoom } from '../inline.ts';
import { functionSourceOf, type NeedShape, runnerOf, type TaskFunctionSource } from './code.ts';
import type { FlowInput, JobGraph, StageCall } from './flow.ts';

export type { JobGraph } from './flow.ts';

/** What makes one file of a function and all that it imports: the package `@foremesh/author` is one. */
export interface TaskBundler {
  /** `runner` is the module around the function, which it knows as `code`. Throws `MESH_TASK_CODE_INVALID`. */
  bundleFunction(
    source: TaskFunctionSource,
    runner: string,
    engine: 'js' | 'node',
  ): Promise<{ readonly code: Uint8Array }>;
}

type Put = (source: BlobSource) => Promise<DataReference>;
type StageInput = JobSpecInput['stages'][string];

const flatMerge = 'export default (task) => task.parts.flat();\n';

/** See `MeshClient.prepare`. */
export async function specOfGraph(graph: JobGraph, bundler: TaskBundler | undefined, put: Put): Promise<JobSpecInput> {
  const nameOf = new Map(graph.stages.map(({ name, call }) => [call, name]));
  // Who splits what another stage gives needs it in one piece.
  const merged = new Set(
    graph.stages.flatMap(({ call }) => (call.split === undefined ? [] : Object.values(call.needs))),
  );
  for (const { call, isOutput } of graph.stages) if (isOutput) merged.add(call);
  const room = new InlineRoom();
  // All code first: what is wrong with it is said before anything is sent.
  const modules = new Map<StageCall, Uint8Array>();
  for (const { name, call } of graph.stages) modules.set(call, await moduleOf(name, call, { nameOf, merged, bundler }));
  const stages: Record<string, StageInput> = {};
  for (const { name, call } of graph.stages) {
    const { name: _, chunks, engine, ...options } = call.options;
    const needs = [...new Set(Object.values(call.needs))].map((need) => nameOf.get(need)!);
    stages[name] = {
      ...options,
      code: { ...(await contentOf(modules.get(call)!, room, put)), ...(engine === undefined ? {} : { engine }) },
      ...(needs.length === 0 ? {} : { needs }),
      ...(call.input === undefined ? {} : { input: await inputOf(call.input, room, put) }),
      ...(call.split === undefined ? {} : { split: { ...call.split, ...(chunks === undefined ? {} : { chunks }) } }),
      ...(call.kind === 'map' && merged.has(call) ? { merge: { inline: flatMerge } } : {}),
    };
  }
  return { ...graph.options, stages };
}

interface Scene {
  readonly nameOf: ReadonlyMap<StageCall, string>;
  readonly merged: ReadonlySet<StageCall>;
  readonly bundler: TaskBundler | undefined;
}

async function moduleOf(stage: string, call: StageCall, { nameOf, merged, bundler }: Scene): Promise<Uint8Array> {
  const shapes = Object.entries(call.needs).map(([name, need]): [string, NeedShape] => [
    name,
    { stage: nameOf.get(need)!, isPieces: need.kind === 'map' && !merged.has(need) },
  ]);
  const runner = runnerOf(call, Object.fromEntries(shapes));
  if (call.code === undefined) return bytesOf(runner);
  const source = functionSourceOf(call.code, stage);
  if (bundler !== undefined) return (await bundler.bundleFunction(source, runner, call.options.engine ?? 'js')).code;
  if (source.kind === 'module') {
    throw new MeshError('MESH_NOT_INSTALLED', `stage "${stage}" is a module, and there is nothing here to bundle it`, {
      where: String(source.path),
      mend: "hand over the package @foremesh/author: mesh.prepare(graph, await import('@foremesh/author'))",
    });
  }
  const module = bytesOf(`${plainFunction(source.text)}${runner}`);
  checkLimit('codeBytes', module.length, limits.codeBytes, source.name);
  return module;
}

/** Without a bundler nobody has looked whether the function uses what is outside of it: it is said when it runs. */
function plainFunction(text: string): string {
  return `const given = (${text});
const explained = (error) =>
  error instanceof ReferenceError
    ? new ReferenceError(error.message + ' (a function that is handed to a stage sees nothing from outside of itself: use its parameters)')
    : error;
const code = (...values) => {
  try {
    const result = given(...values);
    return result instanceof Promise ? result.catch((error) => { throw explained(error); }) : result;
  } catch (error) {
    throw explained(error);
  }
};
`;
}

async function inputOf(input: FlowInput, room: InlineRoom, put: Put): Promise<{ inline: string } | DataReference> {
  if (Array.isArray(input)) return contentOf(listBytes(input), room, put);
  if (input instanceof Uint8Array) return contentOf(input, room, put);
  if (typeof input !== 'object' || input === null) throw wrongInput();
  if ('text' in input && typeof input.text === 'string') return contentOf(bytesOf(input.text), room, put);
  if ('file' in input) return put(input.file);
  if ('files' in input) return put(archiveOf(input.files));
  if ('blob' in input) return { blob: input.blob, sizeBytes: input.sizeBytes };
  if ('slice' in input) return put(input as SlicedBytes);
  throw wrongInput();
}

async function contentOf(content: Uint8Array, room: InlineRoom, put: Put): Promise<{ inline: string } | DataReference> {
  const text = room.take(content);
  return text === undefined ? put(content) : { inline: text };
}

/** Elements as JSON has them. Throws for what has no JSON: it would come out as something else. */
function listBytes(list: readonly unknown[]): Uint8Array {
  const bytes = encodeJson(list);
  const odd = list.findIndex((each) => each === undefined || typeof each === 'function' || typeof each === 'symbol');
  if (odd < 0) return bytes;
  throw new MeshError('MESH_INPUT_INVALID', `element ${odd} of the list has no JSON: a ${typeof list[odd]}`, {
    mend: 'records are JSON values; null stands for nothing',
  });
}

function wrongInput(): MeshError {
  return new MeshError('MESH_INPUT_INVALID', 'this is no input of a stage', {
    mend: '{ text }, { file }, { files }, bytes, a `File`, a reference from `put`, or for items a list',
  });
}
