import { createHash } from 'node:crypto';
import {
  type Assign,
  type CodeReference,
  type DataReference,
  limits,
  type Output,
  type ResultOutput,
} from '@foremesh/node-runtime/contract';
import type { JobPlan, StagePlan } from '@foremesh/node-runtime/core';
import type { Chance } from '../engine/chance.ts';

export const code: CodeReference = { engine: 'js', blob: `sha256-${'c'.repeat(64)}`, sizeBytes: 100 };
export const mergeCode: CodeReference = { engine: 'js', blob: `sha256-${'d'.repeat(64)}`, sizeBytes: 100 };
const mebibyte = 1024 ** 2;

/** Virtual blobs: lists of numbers, named by their hash, in a holder that outlives every machine. */
export class Blobs {
  readonly #contents = new Map<string, Uint8Array>();
  readonly #spoiled = new Set<string>();

  put(bytes: Uint8Array): DataReference {
    const reference = referenceOf(bytes);
    this.#contents.set(reference.blob, bytes);
    return reference;
  }

  /** A bit of it is not what it was. */
  spoil(blob: string, chance: Chance): void {
    const bytes = this.#contents.get(blob)!.slice();
    bytes[chance.between(0, bytes.length - 1)]! ^= 1 << chance.between(0, 7);
    this.#contents.set(blob, bytes);
    this.#spoiled.add(blob);
  }

  /** It was not always whole; perhaps it is again. */
  wasSpoiled(blob: string): boolean {
    return this.#spoiled.has(blob);
  }

  /** A state as whoever goes on from it reads it: what its name does not vouch for is none. */
  state(source: DataReference): number[] | undefined {
    const bytes = this.#contents.get(source.blob);
    if (bytes === undefined || referenceOf(bytes).blob !== source.blob) return undefined;
    return (JSON.parse(new TextDecoder().decode(bytes)) as { done: number[] }).done;
  }

  putNumbers(numbers: readonly number[]): DataReference {
    return this.put(bytesOfNumbers(numbers));
  }

  has(blob: string): boolean {
    return this.#contents.has(blob);
  }

  numbers(source: DataReference | Output): number[] {
    const bytes = 'inline' in source ? source.inline : this.#contents.get(source.blob);
    if (bytes === undefined) throw new Error(`I5: nobody holds ${'blob' in source ? source.blob : ''}`);
    return JSON.parse(new TextDecoder().decode(bytes)) as number[];
  }

  numbersOfResult(output: ResultOutput): number[] {
    if ('blob' in output) return this.numbers(output);
    if (!('value' in output)) throw new Error(`a result as ${output.encoding}`);
    return output.value as number[];
  }
}

export function referenceOf(bytes: Uint8Array): DataReference {
  return { blob: `sha256-${createHash('sha256').update(bytes).digest('hex')}`, sizeBytes: bytes.length };
}

/** What a task has done so far: all that there is to know of it. */
export function bytesOfState(done: readonly number[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ done }));
}

export function bytesOfNumbers(numbers: readonly number[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(numbers));
}

/** What every task does with every number: so that no result depends on how a stage was cut. */
function work(stage: string, number: number): number {
  return (number * 31 + stage.length * 7 + 3) % 10_007;
}

/** What the virtual engine computes; what is done already it takes as it is. */
export function compute(assign: Assign, blobs: Blobs, done: readonly number[]): number[] {
  const { input } = assign;
  const read = (): number[] => {
    switch (input.kind) {
      case 'none':
        return [1, 2, 3];
      case 'whole':
        return blobs.numbers(input.source);
      case 'records':
        return blobs.numbers(input.source).slice(input.firstRecord, input.firstRecord + input.records);
      case 'parts':
        return input.parts.flatMap((part) => blobs.numbers(part));
      case 'outputs':
        return Object.keys(input.needs)
          .sort()
          .flatMap((need) => [input.needs[need]!].flat())
          .flatMap((output) => blobs.numbers(output));
      case 'spilled':
        throw new Error('nothing is spilled here');
    }
  };
  const left = read().slice(done.length);
  if (assign.code.blob === mergeCode.blob) return [...done, ...left];
  return [...done, ...left.map((number) => work(assign.stage, number))];
}

/** The outputs of an undisturbed run, by stage. */
export function expectedOutputs(plan: JobPlan, blobs: Blobs): Map<string, number[]> {
  const all = new Map<string, number[]>();
  const read = ({ input, needs }: StagePlan) => {
    if (input !== undefined) return blobs.numbers(input);
    return needs.length === 0 ? [1, 2, 3] : [...needs].sort().flatMap((need) => all.get(need)!);
  };
  for (const stage of plan.stages) {
    all.set(
      stage.stage,
      read(stage).map((number) => work(stage.stage, number)),
    );
  }
  return new Map([...all].filter(([stage]) => plan.stages.find((each) => each.stage === stage)!.sink));
}

export interface VirtualJob {
  readonly job: string;
  readonly plan: JobPlan;
  readonly submitMs: number;
  readonly cancelMs?: number;
  /** Its tasks always throw. */
  readonly doomed: boolean;
}

export const jobKinds = ['solo', 'map', 'parts', 'diamond', 'chain', 'labelled', 'doomed', 'cancelled'] as const;
export type JobKind = (typeof jobKinds)[number];

export interface JobOptions {
  readonly job: string;
  readonly kind: JobKind;
  readonly submitMs: number;
}

/** The same options and chance, the same job. */
export function inventJob({ job, kind, submitMs }: JobOptions, chance: Chance, blobs: Blobs): VirtualJob {
  const cancelMs = kind === 'cancelled' ? submitMs + chance.between(0, 8_000) : undefined;
  return {
    job,
    plan: { stages: inventStages(kind, chance, blobs) },
    submitMs,
    doomed: kind === 'doomed',
    ...(cancelMs === undefined ? {} : { cancelMs }),
  };
}

function inventStages(kind: JobKind, chance: Chance, blobs: Blobs): StagePlan[] {
  const priority = chance.pick([0, 5, 5, 5, 9]);
  const common = () => ({
    priority,
    limits: { memoryBytes: chance.pick([4, 20, 40]) * mebibyte, cpuMs: 1_000, wallMs: 1_000, outputBytes: 10_000 },
  });
  const input = () =>
    blobs.putNumbers(Array.from({ length: chance.pick([0, 1, 30, 40]) }, () => chance.between(0, 999)));
  const split = { by: 'items' as const, ...(chance.percent(50) ? { chunks: chance.between(1, 12) } : {}) };
  const cut = (stage: string, change: Partial<StagePlan>) =>
    stagePlan(stage, { ...common(), split, merge: mergeCode, ...change });
  switch (kind) {
    case 'solo':
      return [stagePlan('solo', common())];
    case 'map':
    case 'cancelled':
      return [cut('map', { input: input() })];
    case 'parts': {
      const { merge: _, ...parts } = cut('parts', { input: input(), sink: false });
      return [parts, stagePlan('end', { ...common(), needs: ['parts'] })];
    }
    case 'diamond':
    case 'chain':
      return [
        stagePlan('a', { ...common(), input: input(), sink: false }),
        cut('bb', { needs: ['a'], sink: false }),
        stagePlan('ccc', { ...common(), needs: ['a'], sink: kind === 'chain' }),
        stagePlan('dddd', { ...common(), needs: kind === 'chain' ? ['bb'] : ['bb', 'ccc'] }),
      ];
    case 'labelled':
      return [stagePlan('one', { ...common(), input: input() }), cut('other', { input: input(), labels: ['special'] })];
    case 'doomed':
      return [stagePlan('doomed', { ...common(), retries: chance.between(0, 4) })];
  }
}

/** A stage of one task with nothing special about it, but for `change`. */
export function stagePlan(stage: string, change: Partial<StagePlan> = {}): StagePlan {
  return {
    stage,
    code,
    needs: [],
    priority: 5,
    retries: 2,
    limits: { memoryBytes: limits.memoryBytesLeast, cpuMs: 1_000, wallMs: 1_000, outputBytes: 1_000 },
    labels: [],
    sink: true,
    ...change,
  };
}
