import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as contract from '@foremesh/node-runtime/contract';
import { Ajv, type ValidateFunction } from 'ajv';
import fc from 'fast-check';
import { parse } from 'yaml';
import type * as z from 'zod';
import { addressOf, channelNotes } from '../../../.ci/asyncapi.ts';
import { read, root } from '../../house/support/sources.ts';
import { arbitraryOf } from './arbitrary-of.ts';

interface Document {
  readonly channels: Record<
    string,
    { readonly address: string; readonly messages: object; readonly parameters: object }
  >;
  readonly components: { readonly messages: object; readonly schemas: object };
}

const document = JSON.parse(read('docs/asyncapi.json')) as Document;
const jobFile = JSON.parse(read('node-runtime/job.schema.json')) as object;
const settings = { strict: false, validateFormats: false, allErrors: false } as const;

/** The schema of a message as a client's own library would read it. */
function validatorOf(message: string): ValidateFunction {
  const ajv = new Ajv(settings);
  return ajv.compile({ ...document, $ref: `#/components/schemas/${message}` });
}

/** A value with one of its parts replaced, removed or joined by another. */
function spoiled(value: unknown, step: number, odd: unknown): unknown {
  const copy = structuredClone(value);
  const places: [Record<string, unknown>, string][] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null || node instanceof Uint8Array) return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key]);
      visit((node as Record<string, unknown>)[key]);
    }
  };
  visit(copy);
  if (places.length === 0) return odd;
  const [node, key] = places[step % places.length]!;
  if (step % 3 === 0) node[key] = odd;
  else if (step % 3 === 1) delete node[key];
  else node.unheardOf = odd;
  return copy;
}

const odds = fc.constantFrom<unknown>(null, -1, 0.5, 1e20, 'x y', '', true, [], {}, [null], { v: 2 });

/** What the code takes the schema takes; what the schema refuses the code refuses. Returns how much of it was refused. */
function agree(validate: ValidateFunction, schema: z.ZodType, values: fc.Arbitrary<unknown>): number {
  let refused = 0;
  fc.assert(
    fc.property(values, fc.nat(), odds, (value, step, odd) => {
      assert.ok(validate(value), `${JSON.stringify(value)}: ${JSON.stringify(validate.errors)}`);
      const other = spoiled(value, step, odd);
      if (validate(other)) return;
      refused += 1;
      assert.equal(
        schema.safeParse(other).success,
        false,
        `${JSON.stringify(other)}: ${JSON.stringify(validate.errors)}`,
      );
    }),
    { numRuns: 60 },
  );
  return refused;
}

describe('the schemas that are published', () => {
  it('are a document that AsyncAPI takes', () => {
    const schema = JSON.parse(readFileSync(join(root, 'node_modules/@asyncapi/specs/schemas/3.0.0.json'), 'utf8'));
    const validate = new Ajv({ ...settings, meta: false }).compile(schema as object);
    assert.ok(validate(document), JSON.stringify(validate.errors?.slice(0, 3)));
    assert.equal(validate({ ...document, channels: { a: { address: 5 } } }), false);
  });

  it('have a channel for every topic, and a message for all that is said', () => {
    const builders = Object.getOwnPropertyNames(contract.Topics.prototype).filter(
      (name) => !['constructor', 'build', 'parse'].includes(name),
    );
    assert.deepEqual(Object.keys(document.channels).sort(), builders.sort());
    const topics = new contract.Topics('mesh-1');
    for (const [name, { address, messages, parameters }] of Object.entries(document.channels)) {
      const topic = address.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => (parameter === 'mesh' ? 'mesh-1' : 'a'));
      assert.notEqual(topics.parse(topic), undefined, topic);
      assert.equal(address, addressOf(name as keyof typeof channelNotes));
      assert.deepEqual(
        Object.keys(parameters),
        [...address.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter),
      );
      assert.equal(Object.keys(messages).length, 1, name);
    }
  });

  const messages = [...new Set(Object.values(channelNotes).flatMap((note) => note.messages))];
  for (const name of messages.filter((each) => each !== 'jobSpec')) {
    it(`say of ${name} what the code says`, () => {
      const schema = (contract as unknown as Record<string, z.ZodType>)[name]!;
      assert.ok(agree(validatorOf(name), schema, arbitraryOf(schema)) > 0);
    });
  }

  /** Stages whose keys go together. */
  const specs = arbitraryOf(contract.jobSpec).map((value) => {
    const spec = structuredClone(value) as { stages: Record<string, Record<string, unknown>> };
    const names = Object.keys(spec.stages);
    if (names.length === 0) spec.stages.only = { code: { inline: 'x' } };
    for (const [at, stage] of Object.values(spec.stages).entries()) {
      delete stage.needs;
      if (at > 0 && stage.input === undefined) stage.needs = [names[at - 1]];
      if (stage.input === undefined && stage.needs === undefined) delete stage.split;
      if (stage.split !== undefined) delete stage.matrix;
      if (stage.matrix !== undefined) delete stage.parameters;
      if (stage.split === undefined && stage.matrix === undefined) delete stage.merge;
    }
    return spec;
  });
  const fitting = specs.filter((spec) => contract.jobSpec.safeParse(spec).success);

  it('say of a job what the code says, as it is published and in a file', () => {
    assert.ok(agree(validatorOf('jobSpec'), contract.jobSpec, fitting) > 10);
    assert.ok(agree(new Ajv(settings).compile(jobFile), contract.jobSpec, fitting) > 10);
  });

  it('take paths in a job file, say what keys mean, and refuse what is mistyped', () => {
    const validate = new Ajv(settings).compile(jobFile);
    const stage = { code: 'map.ts', input: 'in.csv', split: 'lines', merge: 'merge.ts', estimate: '20s' };
    assert.ok(validate({ $schema: './job.schema.json', name: 'a', stages: { a: stage } }));
    for (const wrong of [
      { ...stage, retrys: 3 },
      { ...stage, split: 'line' },
      { ...stage, code: 5 },
      { ...stage, estimate: '20 parsecs' },
      { ...stage, labels: ['not an identifier'] },
      { ...stage, limits: { memoryMiB: 1 } },
      { input: 'in.csv' },
    ]) {
      assert.equal(validate({ stages: { a: wrong } }), false, JSON.stringify(wrong));
    }
    const { stages } = (jobFile as { properties: Record<string, { additionalProperties: { properties: object } }> })
      .properties;
    const silent = Object.entries(stages!.additionalProperties.properties).filter(([, each]) => !each.description);
    assert.deepEqual(
      silent.map(([key]) => key),
      [],
    );
  });

  it('take the job files of the examples and of the documents', () => {
    const validate = new Ajv(settings).compile(jobFile);
    const files = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
      .filter((path) => /job\.(ya?ml|json)$/.test(path))
      .map((path) => ({ path, text: read(join('examples', path)) }));
    const page = read('docs/task-authoring.md');
    for (const [, path, text] of page.matchAll(/^```(?:yaml|json) file=(\S+)[^\n]*\n(.*?)^```$/gms)) {
      if (path !== 'readings/wrong.yaml') files.push({ path: path!, text: text! });
    }
    assert.ok(files.length > 5);
    for (const { path, text } of files) {
      assert.ok(validate(parse(text)), `${path}: ${JSON.stringify(validate.errors)}`);
    }
  });
});
