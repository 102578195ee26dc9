import * as z from 'zod';
import { jobSpec } from '../contract/index.ts';

type Schema = Record<string, unknown> & { properties?: Record<string, Schema> };

const path = { type: 'string', description: 'The path of a file, from the folder of the job file.' };
const paths = {
  type: 'array',
  items: { type: 'string' },
  description: 'Paths and patterns of files, from the folder of the job file; with `split: files`.',
};

/** The JSON Schema of a job file, for editors: what the contract takes, and paths where a job file may have them. */
export function jobFileSchema(): Schema {
  const schema = z.toJSONSchema(jobSpec, { io: 'input', unrepresentable: 'any' }) as Schema;
  const stages = schema.properties!.stages!;
  const stage = (stages.additionalProperties as Schema).properties!;
  stage.code = either(path, stage.code!);
  stage.input = either(path, paths, stage.input!);
  stage.merge = either(path, stage.merge!);
  const files = stage.files!;
  files.additionalProperties = either(path, files.additionalProperties as Schema);
  schema.properties!.$schema = { type: 'string' };
  return { ...schema, title: 'A job of Foremesh' };
}

function either(...schemas: Schema[]): Schema {
  return { anyOf: schemas };
}
