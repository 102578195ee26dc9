// The JSON Schema of a job file: completion and checks in an editor. `npm run docs` writes it.
import { contractSchemas, type JsonSchema, specComments } from './json-schemas.ts';

const byPath = {
  code: 'The path of a file, from the folder of the job file: TypeScript or JavaScript, bundled at submission.',
  input: 'The path of a file, from the folder of the job file.',
  merge: '"array", "concat", or the path of a file like `code`.',
};

/** As `signedCode` of the command line has it, which signs it: a published job has a manifest in its place. */
const signedCode = {
  type: 'object',
  description: 'Code for engine node: signed at submission, at full speed on nodes that trust its author.',
  properties: {
    file: { type: 'string', minLength: 1, description: 'The path of a file, from the folder of the job file.' },
    engine: { const: 'node' },
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9_-]{1,64}$',
      description: 'What `version` counts: job and stage unless said.',
    },
    version: { type: 'integer', minimum: 1, description: 'No node goes back to a lower one. 1 unless said.' },
    expires: {
      type: 'string',
      pattern: '^\\d+(\\.\\d+)?\\s*(ms|s|min|h|d)$',
      description: 'From then on no node runs it: "30d"; 7 days unless said.',
    },
    capabilities: { type: 'array', items: { const: 'network' }, description: 'What it may do beyond computing.' },
    key: { type: 'string', description: 'Which key of the home signs it: "author" unless said.' },
  },
  required: ['file', 'engine'],
  additionalProperties: false,
};

/** A job as it is published is a job file too; in a file `code`, `input` and `merge` may be paths. */
export function jobFileSchema(): JsonSchema {
  const schemas = contractSchemas((name) => `#/definitions/${name}`);
  const { description: _, ...spec } = structuredClone(schemas.jobSpec!) as JsonSchema & { properties: Properties };
  const stage = (spec.properties.stages as { additionalProperties: { properties: Properties } }).additionalProperties;
  const comments = specComments();
  describeKeys(spec.properties, comments.job);
  describeKeys(stage.properties, comments.stage);
  for (const [key, description] of Object.entries(byPath)) {
    const { description: what, ...content } = stage.properties[key]!;
    stage.properties[key] = {
      ...(what === undefined ? {} : { description: what }),
      anyOf: [{ type: 'string', minLength: 1, description }, content, ...(key === 'input' ? [] : [signedCode])],
    };
  }
  spec.properties.$schema = {
    type: 'string',
    description: 'Where this schema is: for editors, and left out of the job.',
  };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'A job of Foremesh',
    ...spec,
    definitions: reachable(spec, schemas),
  };
}

type Properties = Record<string, JsonSchema>;

function describeKeys(properties: Properties, comments: Readonly<Record<string, string>>): void {
  for (const [key, schema] of Object.entries(properties)) {
    if (comments[key] !== undefined) properties[key] = described(schema, comments[key]);
  }
}

function described(schema: JsonSchema, description: string): JsonSchema {
  // Beside a reference draft 7 reads nothing.
  return '$ref' in schema ? { description, allOf: [schema] } : { description, ...schema };
}

function reachable(from: JsonSchema, schemas: Readonly<Record<string, JsonSchema>>): Record<string, JsonSchema> {
  const found: Record<string, JsonSchema> = {};
  const visit = (value: unknown): void => {
    for (const [, name] of JSON.stringify(value).matchAll(/"#\/definitions\/(\w+)"/g)) {
      if (found[name!] !== undefined) continue;
      found[name!] = schemas[name!]!;
      visit(schemas[name!]);
    }
  };
  visit(from);
  return found;
}
