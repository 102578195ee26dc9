import { createHash } from 'node:crypto';
import type { Assign, DataReference, Output, ResultOutput } from '@foremesh/node-runtime/contract';
import type { JobPlan, StagePlan } from '@foremesh/node-runtime/core';
import { mergeCode, stagePlan } from '../../unit/core/samples.ts';
import type { Chance } from './chance.ts';

/** Virtual blobs: lists of numbers, named by their hash, always there. */
export class Blobs {
  private readonly contents = new Map<string, Uint8Array>();

  put(bytes: Uint8Array): DataReference {
    const blob = `sha256-${createHash('sha256').update(bytes).digest('hex')}`;
    this.contents.set(blob, bytes);
    return { blob, sizeBytes: bytes.length };
  }

  putNumbers(numbers: readonly number[]): DataReference {
    return this.put(bytesOfNumbers(numbers));
  }

  numbers(source: DataReference | Output): number[] {
    const bytes = 'inline' in source ? source.inline : this.contents.get(source.blob);
    if (bytes === undefined) throw new Error('a blob that nobody put');
    return JSON.parse(new TextDecoder().decode(bytes)) as number[];
  }

  numbersOfResult(output: ResultOutput): number[] {
    if ('blob' in output) return this.numbers(output);
    if (!('value' in output) || output.encoding !== 'json') throw new Error(`a result as ${output.encoding}`);
    return output.value as number[];
  }
}

export function bytesOfNumbers(numbers: readonly number[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(numbers));
}

/** What every task does with every number: so that no result depends on how a stage was cut. */
function work(stage: string, number: number): number {
  return (number * 31 + stage.length * 7 + 3) % 10_007;
}

/** What the virtual engine computes. */
export function compute(assign: Assign, blobs: Blobs): number[] {
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
  if (assign.code.blob === mergeCode.blob) return read();
  return read().map((number) => work(assign.stage, number));
}

/** The outputs of an undisturbed run, by stage. */
export function expectedOutputs(plan: JobPlan, blobs: Blobs): Map<string, number[]> {
  const all = new Map<string, number[]>();
  for (const { stage, input, needs } of plan.stages) {
    const read =
      input !== undefined
        ? blobs.numbers(input)
        : needs.length === 0
          ? [1, 2, 3]
          : [...needs].sort().flatMap((need) => all.get(need)!);
    all.set(
      stage,
      read.map((number) => work(stage, number)),
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

export function inventJob(job: string, chance: Chance, blobs: Blobs, withinMs: number): VirtualJob {
  const kind = chance.between(0, 7);
  const submitMs = chance.between(0, withinMs);
  return {
    job,
    plan: { stages: inventStages(kind, chance, blobs) },
    submitMs,
    doomed: kind === 6,
    ...(kind === 7 ? { cancelMs: submitMs + chance.between(0, 8_000) } : {}),
  };
}

function inventStages(kind: number, chance: Chance, blobs: Blobs): StagePlan[] {
  const mebibyte = 1024 ** 2;
  const priority = chance.pick([0, 5, 5, 5, 9]);
  const common = () => ({
    priority,
    limits: { memoryBytes: chance.pick([4, 20, 40]) * mebibyte, cpuMs: 1_000, wallMs: 1_000, outputBytes: 10_000 },
  });
  const input = () =>
    blobs.putNumbers(Array.from({ length: chance.pick([0, 1, 5, 30]) }, () => chance.between(0, 999)));
  const split = { by: 'items' as const, ...(chance.percent(50) ? { chunks: chance.between(1, 12) } : {}) };
  const cut = (stage: string, change: Partial<StagePlan>) =>
    stagePlan(stage, { ...common(), split, merge: mergeCode, ...change });
  switch (kind) {
    case 0:
      return [stagePlan('solo', common())];
    case 1:
    case 7:
      return [cut('map', { input: input() })];
    case 2: {
      const { merge: _, ...parts } = cut('parts', { input: input(), sink: false });
      return [parts, stagePlan('end', { ...common(), needs: ['parts'] })];
    }
    case 3:
    case 4:
      return [
        stagePlan('a', { ...common(), input: input(), sink: false }),
        cut('bb', { needs: ['a'], sink: false }),
        stagePlan('ccc', { ...common(), needs: ['a'], sink: kind === 3 }),
        stagePlan('dddd', { ...common(), needs: kind === 3 ? ['bb'] : ['bb', 'ccc'] }),
      ];
    case 5:
      return [stagePlan('one', { ...common(), input: input() }), cut('other', { input: input(), labels: ['special'] })];
    default:
      return [stagePlan('doomed', { ...common(), retries: chance.between(0, 4) })];
  }
}
