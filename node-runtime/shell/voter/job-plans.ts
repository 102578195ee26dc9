import { type CostWeights, costWeightsDefault } from '@foremesh/partitioner';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import {
  bytesOf,
  type CodeReference,
  check,
  checkLimit,
  checkVersion,
  type DataReference,
  decodeUnchecked,
  type JobSpec,
  jobSpec,
  limits,
  MeshError,
  type StageSpec,
  taskLimitsOf,
} from '../../contract/index.ts';
import { hasParts, type JobPlan, type StagePlan } from '../../core/index.ts';
import type { BlobClient } from '../../data/index.ts';
import { specHashOf } from '../../data/spec-hash.ts';
import { builtinMergeCode } from '../../engines/merges.ts';

/** Checks a published spec. Throws `MESH_SPEC_INVALID` (with the path), or what `decode` throws. */
export function parseSpec(payload: Uint8Array): { readonly spec: JobSpec; readonly specHash: string } {
  const value = decodeUnchecked(payload);
  checkVersion(value);
  const stages = (value as { stages?: unknown } | null)?.stages;
  if (typeof stages === 'object' && stages !== null && Object.hasOwn(stages, '__proto__')) {
    // The schema would pass over it without a word.
    throw new MeshError('MESH_SPEC_INVALID', '"__proto__" cannot be the name of a stage', { where: 'stages' });
  }
  const spec = check(jobSpec, value, 'MESH_SPEC_INVALID');
  if (typeof spec.deadline === 'string' && Number.isNaN(Date.parse(spec.deadline)))
    throw new MeshError('MESH_SPEC_INVALID', `there is no time ${spec.deadline}`, { where: 'deadline' });
  const occurrences = spec.schedule === undefined ? undefined : occurrencesOf(spec.schedule);
  if (typeof occurrences === 'string') throw new MeshError('MESH_SPEC_INVALID', occurrences, { where: 'schedule' });
  return { spec, specHash: specHashOf(spec) };
}

/**
 * Makes the plan of a spec: every default filled in, stages in an order in which each comes after what it needs, and
 * whatever stood inline put in a holder, so that code and input are durable before the job is accepted (I5).
 */
export async function planOf(spec: JobSpec, blobs: BlobClient): Promise<JobPlan> {
  const needed = new Set(Object.values(spec.stages).flatMap((stage) => stage.needs ?? []));
  const stages: StagePlan[] = [];
  for (const name of inOrder(spec))
    stages.push(await planStage(name, spec.stages[name]!, spec, !needed.has(name), blobs));
  const { name, schedule, retention, weights } = spec;
  return {
    ...(name === undefined ? {} : { name }),
    stages,
    ...(schedule === undefined ? {} : { schedule }),
    ...(weights === undefined ? {} : { weights: weightsOf(weights) }),
    ...(retention === undefined ? {} : { retentionMs: Math.round(retention * 1_000) }),
    ...deadlineOf(spec),
  };
}

function deadlineOf({ deadline, confidence }: JobSpec): Pick<JobPlan, 'deadline'> {
  if (deadline === undefined) return {};
  const sure = confidence === undefined ? {} : { confidence };
  if (typeof deadline === 'number') return { deadline: { withinMs: Math.round(deadline * 1_000), ...sure } };
  return { deadline: { atMs: Date.parse(deadline), ...sure } };
}

function weightsOf(given: NonNullable<JobSpec['weights']>): CostWeights {
  const of = (name: keyof CostWeights) => given[name] ?? costWeightsDefault[name];
  return { makespan: of('makespan'), contention: of('contention'), transfer: of('transfer'), risk: of('risk') };
}

function inOrder(spec: JobSpec): string[] {
  const ordered: string[] = [];
  const visit = (name: string) => {
    if (ordered.includes(name)) return;
    for (const need of spec.stages[name]!.needs ?? []) visit(need);
    ordered.push(name);
  };
  for (const name of Object.keys(spec.stages)) visit(name); // the schema has refused circles
  return ordered;
}

async function planStage(
  name: string,
  stage: StageSpec,
  spec: JobSpec,
  sink: boolean,
  blobs: BlobClient,
): Promise<StagePlan> {
  const merge = stage.merge ?? (hasParts(stage) && sink ? 'array' : undefined);
  const priority = stage.priority ?? spec.priority ?? 5;
  return {
    stage: name,
    code: await codeOf(stage.code, blobs),
    needs: stage.needs ?? [],
    retries: stage.retries ?? limits.retriesDefault,
    limits: taskLimitsOf(stage.limits),
    labels: stage.labels ?? [],
    priority,
    sink,
    ...(stage.input === undefined ? {} : { input: await dataOf(stage.input, blobs) }),
    ...(stage.split === undefined ? {} : { split: splitOf(stage.split) }),
    ...(stage.matrix === undefined ? {} : { matrix: stage.matrix }),
    ...(merge === undefined ? {} : { merge: await codeOf(typeof merge === 'string' ? builtin(merge) : merge, blobs) }),
    ...(stage.parameters === undefined ? {} : { parameters: stage.parameters }),
    ...(await commandOf(stage, blobs)),
    ...(stage.profile === undefined ? {} : { profile: stage.profile }),
    ...(stage.estimate === undefined ? {} : { estimateSeconds: stage.estimate }),
  };
}

function splitOf(split: NonNullable<StageSpec['split']>): NonNullable<StagePlan['split']> {
  if (split.by === 'bytes') return { by: 'bytes', blockBytes: split.size };
  const chunks = 'chunks' in split ? split.chunks : undefined;
  return chunks === undefined ? { by: split.by } : { by: split.by, chunks };
}

/** Of a stage whose code or merge is a program: its files durable, every default filled in. */
async function commandOf(stage: StageSpec, blobs: BlobClient): Promise<Pick<StagePlan, 'command'>> {
  const codes = [stage.code, ...(typeof stage.merge === 'object' ? [stage.merge] : [])];
  if (!codes.some(({ engine }) => engine === 'wasm')) return {};
  const { arguments: given = [], environment = {}, output = 'text' } = stage;
  const files: Record<string, DataReference> = {};
  for (const [path, file] of Object.entries(stage.files ?? {})) files[path] = await dataOf(file, blobs);
  return { command: { arguments: given, environment, output, files } };
}

function builtin(merge: 'array' | 'concat'): StageSpec['code'] {
  return { inline: builtinMergeCode[merge], engine: 'js' };
}

async function codeOf(code: StageSpec['code'], blobs: BlobClient): Promise<CodeReference> {
  const { engine, manifest } = code;
  const head = manifest === undefined ? { engine } : { engine, manifest };
  if ('blob' in code) {
    checkLimit('codeBytes', code.sizeBytes, limits.codeBytes);
    return { ...head, ...(await heldAlready({ blob: code.blob, sizeBytes: code.sizeBytes }, blobs)) };
  }
  return { ...head, ...(await blobs.put(bytesOf(code.inline))) };
}

async function dataOf(input: NonNullable<StageSpec['input']>, blobs: BlobClient): Promise<DataReference> {
  return 'blob' in input ? heldAlready(input, blobs) : blobs.put(bytesOf(input.inline));
}

/** What is not there now would only be missed by every node in turn (I5); what is, is kept until the log names it. Throws `MESH_BLOB_MISSING`. */
async function heldAlready(reference: DataReference, blobs: BlobClient): Promise<DataReference> {
  await blobs.checkHeld(reference);
  return reference;
}
