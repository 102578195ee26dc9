import * as z from 'zod';
import { limits } from '../limits.ts';
import { bytesOf } from '../text.ts';
import { clashOfPaths, commandArguments, commandEnvironment, commandPath } from './command.ts';
import { signedManifest } from './manifest.ts';
import { combinationsOf, matrix } from './matrix.ts';
import {
  blobName,
  count,
  encodingOfOutput,
  engineName,
  fraction,
  identifier,
  indexedBy,
  type TaskLimits,
} from './shared.ts';
import { size } from './sizes.ts';

const inlineText = z
  .string()
  .refine((text) => text.length <= limits.inlineBytes && bytesOf(text).length <= limits.inlineBytes, {
    error: `inlineBytes is ${limits.inlineBytes}; put it in a blob`,
  });
const byBlob = { blob: blobName, sizeBytes: count.max(limits.blobBytes) };

const code = z.union([
  z.strictObject({ inline: inlineText.min(1), engine: engineName.default('js'), manifest: signedManifest.optional() }),
  z.strictObject({ ...byBlob, engine: engineName.default('js'), manifest: signedManifest.optional() }),
]);
const input = z.union([z.strictObject({ inline: inlineText }), z.strictObject(byBlob)]);

const duration = z.union([
  z.number().min(0).max(limits.estimateSecondsMost),
  z
    .string()
    .regex(/^\d+(\.\d+)?\s*(ms|s|min|h|d)$/, { error: 'must be seconds, or a number with ms, s, min, h or d ("20s")' })
    .transform(durationToSeconds)
    .refine((seconds) => seconds <= limits.estimateSecondsMost, {
      error: `estimateSecondsMost is ${limits.estimateSecondsMost}`,
    }),
]);

/** Turns "1.5min" into 90. Units: ms, s, min, h, d. */
export function durationToSeconds(text: string): number {
  const scale = { ms: 0.001, s: 1, min: 60, h: 3600, d: 86_400 } as const;
  const unit = /[a-z]+$/.exec(text)![0] as keyof typeof scale;
  return Number.parseFloat(text) * scale[unit];
}

/** Short enough for the names of its tasks. */
const stageName = identifier.refine((name) => name.length <= limits.stageCharacters, {
  error: `a stage's name has at most ${limits.stageCharacters} characters`,
});

const priority = z.number().int().min(0).max(9);
const mebibytes = (most: number) =>
  z
    .number()
    .positive()
    .max(most / 1024 ** 2);

const isBlockSize = (bytes: number) => bytes >= 1 && bytes <= limits.recordBytes;
const blockSizeText = `must be 1 to ${limits.recordBytes} bytes (recordBytes)`;

const stageShape = z.strictObject({
  /** A module whose default export is the task function. */
  code,
  /** What the stage reads: a blob, or small text. A stage has `input` or `needs`, or neither. */
  input: input.optional(),
  /** Stages whose outputs this one reads. */
  needs: z.array(identifier).min(1).max(limits.stagesPerJob).optional(),
  /** Cut the input (or the output of the one stage needed) into tasks; by bytes, `size` are those of one task. */
  split: z
    .union([
      indexedBy.transform((by) => ({ by })),
      z.strictObject({ by: z.literal('bytes'), size: size.refine(isBlockSize, { error: blockSizeText }) }),
      z.strictObject({ by: indexedBy, chunks: z.number().int().min(1).max(limits.tasksPerStage).optional() }),
    ])
    .optional(),
  /** A task for each combination of these values, which it finds in `parameters`, over those of the stage. */
  matrix: matrix.optional(),
  /** How the outputs of a stage of parts become one: in record order. `array` unless said. */
  merge: z.union([z.enum(['array', 'concat']), code]).optional(),
  /** Handed to the code as it is. */
  parameters: z
    .json()
    .refine((value) => bytesOf(JSON.stringify(value)).length <= limits.parametersBytes, {
      error: `parametersBytes is ${limits.parametersBytes}; hand over more as \`input\``,
    })
    .optional(),
  /** For a program (engine `wasm`): what it gets behind its name. */
  arguments: commandArguments.optional(),
  /** For a program: variables of its environment. */
  environment: commandEnvironment.optional(),
  /** For a program: files that it can read, by path from the root. */
  files: z
    .record(commandPath, input)
    .refine((files) => Object.keys(files).length <= limits.filesPerStage, {
      error: `filesPerStage is ${limits.filesPerStage}`,
    })
    .refine((files) => sizeOf(files) <= limits.filesBytes, { error: `filesBytes is ${limits.filesBytes}` })
    .optional(),
  /** For a program: what its standard output is. `text` unless said. */
  output: encodingOfOutput.optional(),
  /** What kind of work it is (image-processing, data-analysis, machine-learning, ...): where a forecast of unknown code starts. */
  profile: identifier.optional(),
  /** 0 (last) to 9 (first); the job's unless said. */
  priority: priority.optional(),
  /** CPU time of the whole stage on a device of speed 1: seconds, or "20s", "5min". */
  estimate: duration.optional(),
  /** How often a task that fails by its own fault is tried again. */
  retries: z.number().int().min(0).max(limits.retriesMost).optional(),
  /** What one task may use. */
  limits: z
    .strictObject({
      memoryMiB: mebibytes(limits.memoryBytesMost)
        .min(limits.memoryBytesLeast / 1024 ** 2)
        .optional(),
      cpuSeconds: z
        .number()
        .positive()
        .max(limits.cpuMsMost / 1000)
        .optional(),
      wallSeconds: z
        .number()
        .positive()
        .max(limits.wallMsMost / 1000)
        .optional(),
      outputMiB: mebibytes(limits.outputBytesMost).optional(),
    })
    .optional(),
  /** Only nodes that carry all of these labels. */
  labels: z.array(identifier).max(limits.labelsPerNode).optional(),
});

type Data = z.infer<typeof input>;

function sizeOf(files: Readonly<Record<string, Data>>): number {
  return Object.values(files).reduce(
    (sum, file) => sum + ('blob' in file ? file.sizeBytes : bytesOf(file.inline).length),
    0,
  );
}

const commandKeys = ['arguments', 'environment', 'files', 'output'] as const;

/** What fits each key by itself, but not together: where, and why. */
function programIssues(stage: z.infer<typeof stageShape>): [key: string, message: string][] {
  const { code, merge, files } = stage;
  const issues: [string, string][] = [];
  const codes = { code, ...(typeof merge === 'object' ? { merge } : {}) };
  for (const [key, each] of Object.entries(codes)) {
    if (each.engine === 'wasm' && 'inline' in each) {
      issues.push([
        key,
        'a WebAssembly module is no text: put it in a blob, and say { blob, sizeBytes, engine: wasm }',
      ]);
    }
  }
  if (!Object.values(codes).some(({ engine }) => engine === 'wasm')) {
    for (const key of commandKeys) {
      if (stage[key] !== undefined)
        issues.push([key, `\`${key}\` is for programs (engine wasm), and this stage has none`]);
    }
  }
  const clash = clashOfPaths(Object.keys(files ?? {}));
  if (clash !== undefined) issues.push(['files', `"${clash}" is a file and a folder`]);
  return issues;
}

const cron = z
  .string()
  .max(limits.cronCharacters)
  .regex(/^\s*(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[\w*,/?#+-]+(\s+[\w*,/?#+-]+){4,5})\s*$/, {
    error: 'must be five fields (minute hour day month weekday), six with seconds first, or @daily and the like',
  });
const timezone = z
  .string()
  .max(limits.identifierCharacters)
  .regex(/^[A-Za-z][\w+/-]*$/, { error: 'must be the name of a time zone, like Europe/Berlin' });

export const catchUp = z.enum(['none', 'one']);
export const overlap = z.enum(['allow', 'skip']);
const scheduleDefaults = { timezone: 'UTC', catchUp: 'none', overlap: 'allow' } as const;

/** When a job is to be run again and again. */
export const schedule = z.strictObject({
  cron,
  /** Whose wall clock `cron` is read by. */
  timezone: timezone.default('UTC'),
  /** Of the occurrences that nobody could start in time (`scheduleLateMs`): leave all out, or make up for them with the last. */
  catchUp: catchUp.default('none'),
  /** When the job of the occurrence before still runs: run both, or leave the later one out. */
  overlap: overlap.default('allow'),
});
export type Schedule = z.infer<typeof schedule>;

/** An instant, with its offset from UTC. */
const instant = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/, {
  error: 'must be a duration ("2h"), or a time with its offset ("2026-12-24T18:00:00+01:00")',
});

const weight = z.number().min(0).max(limits.costWeightMost).optional();

/** How much a second of each kind counts when a node is chosen for a task; 1 unless said. */
export const costWeights = z
  .strictObject({
    /** Until the task ends. */
    makespan: weight,
    /** Of CPU that the device's own work would lose. */
    contention: weight,
    /** For which its input is on a link. */
    transfer: weight,
    /** Of work that would be lost should the device leave. */
    risk: weight,
  })
  .refine(
    ({ makespan, contention, transfer, risk }) => [makespan, contention, transfer, risk].some((each) => each !== 0),
    {
      error: 'one of makespan, contention, transfer and risk must count: all are 0',
    },
  );

/** A job as it is published on `jobs/<account>/<job>/spec`. */
export const jobSpec = z
  .strictObject({
    v: z.literal(1).optional(),
    name: z.string().max(200).optional(),
    priority: priority.optional(),
    /** Not once, but whenever it is time: cron, or cron with more. */
    schedule: z.union([cron.transform((text) => ({ cron: text, ...scheduleDefaults })), schedule]).optional(),
    /** By when it should have ended: so long after it was accepted, or a time. A miss is reported; the job goes on. */
    deadline: z.union([duration, instant]).optional(),
    /** How sure one wants to be that the deadline is met, 0 to 1. */
    confidence: fraction.optional(),
    /** Where its tasks are placed: what counts how much. */
    weights: costWeights.optional(),
    /** How long the job is kept once it has ended, with its result: seconds, or "7d". */
    retention: duration
      .refine((seconds) => seconds * 1_000 >= limits.retentionMsLeast && seconds * 1_000 <= limits.retentionMsMost, {
        error: `must be between ${limits.retentionMsLeast / 1_000} s and ${limits.retentionMsMost / 86_400_000} d (retentionMsLeast, retentionMsMost)`,
      })
      .optional(),
    stages: z.record(stageName, stageShape),
  })
  .superRefine((spec, context) => {
    const names = Object.keys(spec.stages);
    if (spec.confidence !== undefined && spec.deadline === undefined)
      context.addIssue({ code: 'custom', path: ['confidence'], message: '`confidence` goes with `deadline`' });
    if (spec.schedule !== undefined && typeof spec.deadline === 'string') {
      const message = 'the deadline of a job with a `schedule` is a duration: it holds for each of its runs';
      context.addIssue({ code: 'custom', path: ['deadline'], message });
    }
    const report = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (names.length === 0) report(['stages'], 'a job needs at least one stage');
    if (names.length > limits.stagesPerJob) {
      report(['stages'], `stagesPerJob is ${limits.stagesPerJob}, found ${names.length}`);
      return; // what follows takes time in proportion to its square
    }
    let tasks = 0;
    for (const [name, { needs, split, matrix, merge, input, parameters }] of Object.entries(spec.stages)) {
      const at = ['stages', name];
      for (const [key, message] of programIssues(spec.stages[name]!)) report([...at, key], message);
      if (input !== undefined && needs !== undefined)
        report([...at, 'input'], 'a stage has `input` or `needs`, not both');
      if (merge !== undefined && split === undefined && matrix === undefined) {
        report([...at, 'merge'], '`merge` goes with `split` or `matrix`');
      }
      if (matrix !== undefined) {
        if (split !== undefined) report([...at, 'matrix'], 'a stage has `split` or `matrix`, not both');
        if (parameters !== undefined && !isMapping(parameters)) {
          report([...at, 'parameters'], 'with a `matrix` the parameters are a mapping');
        }
      }
      tasks += matrix === undefined ? 1 : combinationsOf(matrix);
      if (split !== undefined && input === undefined && needs?.length !== 1) {
        report([...at, 'split'], '`split` needs an `input`, or exactly one stage in `needs`');
      }
      const seen = new Set<string>();
      for (const [index, need] of (needs ?? []).entries()) {
        if (!names.includes(need)) report([...at, 'needs', index], `there is no stage "${need}"`);
        if (seen.has(need)) report([...at, 'needs', index], `"${need}" is named twice`);
        seen.add(need);
      }
    }
    if (tasks > limits.tasksPerJob) report(['stages'], `tasksPerJob is ${limits.tasksPerJob}, found ${tasks}`);
    const circle = findCycle(spec.stages);
    if (circle !== undefined) report(['stages'], `the stages need each other in a circle: ${circle.join(' -> ')}`);
  });

export type JobSpec = z.infer<typeof jobSpec>;
/** What an author writes: shorthands not yet expanded. */
export type JobSpecInput = z.input<typeof jobSpec>;
export type StageSpec = JobSpec['stages'][string];

/** What one task may use, every default filled in. */
export function taskLimitsOf(asked: StageSpec['limits']): TaskLimits {
  const mebibytes = (value: number | undefined, otherwise: number) =>
    value === undefined ? otherwise : Math.max(1, Math.round(value * 1024 ** 2));
  const seconds = (value: number | undefined, otherwise: number) =>
    value === undefined ? otherwise : Math.max(1, Math.round(value * 1000));
  return {
    memoryBytes: mebibytes(asked?.memoryMiB, limits.memoryBytesDefault),
    cpuMs: seconds(asked?.cpuSeconds, limits.cpuMsDefault),
    wallMs: seconds(asked?.wallSeconds, limits.wallMsDefault),
    outputBytes: mebibytes(asked?.outputMiB, limits.outputBytesDefault),
  };
}

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function findCycle(stages: Readonly<Record<string, { needs?: string[] | undefined }>>): string[] | undefined {
  const finished = new Set<string>();
  const visit = (name: string, path: string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (finished.has(name)) return undefined;
    for (const need of stages[name]?.needs ?? []) {
      const found = visit(need, [...path, name]);
      if (found !== undefined) return found;
    }
    finished.add(name);
    return undefined;
  };
  for (const name of Object.keys(stages)) {
    const found = visit(name, []);
    if (found !== undefined) return found;
  }
  return undefined;
}
