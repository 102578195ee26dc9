import { combinationsOf, isIdentifier, limits } from '../contract/index.ts';
import { usageError } from './report.ts';
import { nearest } from './text.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** One `--param`: the stage it was written for, if it was, and its values. */
export interface ParameterOption {
  readonly shown: string;
  readonly stage?: string;
  readonly name: string;
  readonly values: readonly Json[];
}

/**
 * `x=1..10`, `mode=a,b`, `x=0..1..0.25`, `STAGE.x=3`. What reads as JSON is JSON, the rest is text. Throws `MESH_USAGE`.
 */
export function parseParameter(text: string): ParameterOption {
  const [, stage, name, value] = /^(?:([^.=]+)\.)?([^.=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || !isIdentifier(name)) {
    throw usageError(`--param ${text} is no parameter`, 'write --param NAME=VALUE, NAME=a,b,c or NAME=1..10');
  }
  const values = valuesOf(value!, text);
  return { shown: text, ...(stage === undefined ? {} : { stage }), name, values };
}

function valuesOf(text: string, shown: string): Json[] {
  const whole = jsonOf(text);
  if (typeof whole === 'object' || text === '') return [whole];
  return text.split(',').flatMap((each) => rangeOf(each, shown) ?? [jsonOf(each)]);
}

const number = String.raw`-?\d+(?:\.\d+)?`;
const range = new RegExp(`^(${number})\\.\\.(${number})(?:\\.\\.(${number}))?$`);

function rangeOf(text: string, shown: string): number[] | undefined {
  const [whole, ...ends] = range.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const [from, to] = ends.map(Number) as [number, number];
  const step = ends[2] === undefined ? 1 : Number(ends[2]);
  if (step <= 0 || to < from)
    throw usageError(`--param ${shown}: ${text} has no values`, 'write FROM..TO or FROM..TO..STEP');
  // Steps of 0.1 do not add up to 1: the last may be passed by a hair.
  const count = Math.floor((to - from) / step + 1e-9) + 1;
  if (count > limits.tasksPerStage) {
    throw usageError(`--param ${shown}: tasksPerStage is ${limits.tasksPerStage}, and this has ${count} values`);
  }
  return Array.from({ length: count }, (_, at) => Number((from + at * step).toPrecision(12)));
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/**
 * Puts parameters in the stages of a job file: one value among `parameters`, several in `matrix`. Each is for the stage it names, else
 * for the one that has no `needs`. Throws `MESH_USAGE`.
 */
export function takeParameters(
  stages: readonly (readonly [string, Record<string, unknown>])[],
  options: readonly ParameterOption[],
): void {
  const seen = new Set<string>();
  for (const option of options) {
    const { name, values, shown } = option;
    const [stageName, stage] = stageOf(stages, option);
    const key = `${stageName}.${name}`;
    if (seen.has(key))
      throw usageError(
        `--param ${name} is given twice for stage "${stageName}"`,
        `--param ${name}=a,b has both values`,
      );
    seen.add(key);
    if (stage.parameters !== undefined && !isMapping(stage.parameters)) {
      throw usageError(
        `--param ${shown}: \`parameters\` of stage "${stageName}" is no mapping`,
        'write it in the job file',
      );
    }
    const matrix = mappingOf(stage.matrix);
    const parameters = mappingOf(stage.parameters);
    delete matrix[name];
    delete parameters[name];
    if (values.length === 1) parameters[name] = values[0];
    else matrix[name] = values;
    setOrDrop(stage, 'matrix', matrix);
    setOrDrop(stage, 'parameters', parameters);
    const combinations = combinationsOf(matrix as Record<string, Json[]>);
    if (stage.matrix !== undefined && stage.split !== undefined) {
      throw usageError(
        `--param ${shown}: stage "${stageName}" has a \`split\`, and a stage has \`split\` or \`matrix\``,
        `give one value: --param ${name}=VALUE`,
      );
    }
    if (combinations > limits.tasksPerStage) {
      throw usageError(
        `--param ${shown}: tasksPerStage is ${limits.tasksPerStage}, and there would be ${combinations} combinations`,
      );
    }
  }
}

function stageOf(
  stages: readonly (readonly [string, Record<string, unknown>])[],
  { stage, shown, name }: ParameterOption,
) {
  const names = stages.map(([each]) => each);
  if (stage !== undefined) {
    const found = stages.find(([each]) => each === stage);
    if (found !== undefined) return found;
    const meant = nearest(stage, names);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    throw usageError(`--param ${shown}: there is no stage "${stage}"${hint}`, `the stages are ${names.join(', ')}`);
  }
  const first = stages.filter(([, each]) => each.needs === undefined);
  if (first.length === 1) return first[0]!;
  throw usageError(
    `--param ${shown}: which stage? ${first.length} have no \`needs\``,
    `write --param STAGE.${name}=...`,
  );
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mappingOf(value: unknown): Record<string, unknown> {
  return isMapping(value) ? { ...value } : {};
}

function setOrDrop(stage: Record<string, unknown>, key: string, mapping: Record<string, unknown>): void {
  if (Object.keys(mapping).length > 0) stage[key] = mapping;
  else delete stage[key];
}
