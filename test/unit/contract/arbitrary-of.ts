import fc from 'fast-check';
import type * as z from 'zod';

interface Definition {
  readonly type: string;
  readonly shape?: Record<string, z.ZodType>;
  readonly options?: readonly z.ZodType[];
  readonly element?: z.ZodType;
  readonly keyType?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly innerType?: z.ZodType;
  readonly values?: readonly (string | number)[];
  readonly entries?: Record<string, string>;
  readonly in?: z.ZodType;
  readonly getter?: () => z.ZodType;
}

/** Keys and signatures. */
const ofBytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes).toString('base64url'));
const identifier = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const strings = fc.oneof(
  identifier,
  fc.constantFrom('constructor', 'toString', 'a'.repeat(64), '漢字', '\u0000\u001f', '"\\'),
  ofBytes(32),
  ofBytes(64),
  fc.stringMatching(/^sha256-[0-9a-f]{64}$/),
  fc.constantFrom('20s', '1.5 min', '3h'),
  fc.constantFrom('1MiB', '500 kB', '64B'),
  fc.constantFrom('*/5 * * * *', '0 30 7 * * 1-5', '@daily'),
  fc.constantFrom('2026-12-24T18:00Z', '2026-12-24T18:00:00+01:00'),
  fc.constantFrom('22:00-07:00', 'Mon-Fri 18:00-24:00', 'Sun 00:00-09:30'),
  fc
    .tuple(identifier, identifier, identifier, fc.nat(), fc.nat())
    .map(([account, job, task, term, n]) => `${account}/${job}/${task}#${term}.${n}`),
  fc.string({ unit: 'grapheme', maxLength: 100 }),
);
const numbers = fc.oneof(
  fc.constantFrom(0, 1, 9, 4_096, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.nat({ max: 300 }),
  fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0), // no -0: JSON does not keep it
);

/** Values that a schema of the contract takes: made by its shape, kept when it says yes. */
export function arbitraryOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  const definition = schema._zod.def as unknown as Definition;
  const fits = (value: unknown) => schema.safeParse(value).success;
  switch (definition.type) {
    case 'object': {
      const shape = Object.entries(definition.shape!);
      const optional = (each: z.ZodType) => (each._zod.def as unknown as Definition).type === 'optional';
      const requiredKeys = shape.filter(([, each]) => !optional(each)).map(([key]) => key);
      return fc.record(Object.fromEntries(shape.map(([key, each]) => [key, arbitraryOf(each)])), { requiredKeys });
    }
    case 'union':
      return fc.oneof(...definition.options!.map(arbitraryOf));
    case 'array':
      return fc.array(arbitraryOf(definition.element!), { maxLength: 4 }).filter(fits);
    case 'record':
      return fc
        .dictionary(
          (arbitraryOf(definition.keyType!) as fc.Arbitrary<string>).filter((key) => key !== '__proto__'),
          arbitraryOf(definition.valueType!),
          { maxKeys: 4, noNullPrototype: true },
        )
        .filter(fits);
    case 'optional':
    case 'nonoptional':
      return arbitraryOf(definition.innerType!);
    case 'default':
      return arbitraryOf(definition.innerType!);
    case 'pipe': // what goes in, of what comes out otherwise
      return arbitraryOf(definition.in!).filter(fits);
    case 'nullable':
      return fc.option(arbitraryOf(definition.innerType!), { nil: null });
    case 'literal':
      return fc.constantFrom(...definition.values!);
    case 'enum':
      return fc.constantFrom(...Object.values(definition.entries!));
    case 'boolean':
      return fc.boolean();
    case 'string':
      return strings.filter(fits);
    case 'number':
      return numbers.filter(fits);
    case 'custom':
      return fc.uint8Array({ maxLength: 200 });
    case 'lazy':
      return fc
        .jsonValue({ maxDepth: 4 })
        .map((value) => JSON.parse(JSON.stringify(value).replaceAll('__proto__', 'proto')) as unknown)
        .filter(fits);
    default:
      throw new Error(`no arbitrary of a ${definition.type}`);
  }
}
