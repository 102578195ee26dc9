// The pure JavaScript build, the same for `import` and `require`: `cbor-x/encode` under `require` is the one that calls the
// native addon which our overrides leave out. No `eval` either: a strict page can load it.
import { Encoder } from 'cbor-x/index-no-eval';
import type * as z from 'zod';
import { checkLimit, MeshError } from './errors.ts';
import { limits } from './limits.ts';

// Plain CBOR maps (RFC 8949) that any client in any language reads: no cbor-x records, no tags for byte strings.
const cbor = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });
const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true });

/** An error quotes no more than this. */
const messageCharacters = 500;

export type Encoding = 'json' | 'cbor';

/** Encodes one message. Throws `MESH_LIMIT_EXCEEDED` when it is larger than `payloadBytes`, less what is to follow it. */
export function encode(message: unknown, encoding: Encoding, spareBytes = 0): Uint8Array {
  const payload = encoding === 'cbor' ? encodeCbor(message) : encodeJson(message);
  if (payload.length + spareBytes > limits.payloadBytes) {
    throw new MeshError(
      'MESH_LIMIT_EXCEEDED',
      `payloadBytes is ${limits.payloadBytes}, this message has ${payload.length + spareBytes}`,
    );
  }
  return payload;
}

/** CBOR without the payload limit: for disk, and for what is chunked afterwards. */
export function encodeCbor(value: unknown): Uint8Array {
  return cbor.encode(value);
}

export function encodeJson(value: unknown): Uint8Array {
  return utf8Encoder.encode(JSON.stringify(value));
}

/**
 * Decodes and checks one payload; the first byte tells JSON (`{`) from CBOR. Throws `MESH_LIMIT_EXCEEDED`,
 * `MESH_MESSAGE_MALFORMED` (with the path into the message) or `MESH_MESSAGE_VERSION`; never anything else.
 */
export function decode<T>(schema: z.ZodType<T>, payload: Uint8Array): T {
  const value = decodeUnchecked(payload);
  checkVersion(value);
  return check(schema, value, 'MESH_MESSAGE_MALFORMED');
}

/** Throws `MESH_MESSAGE_VERSION` when the message says that it is of another version than 1. */
export function checkVersion(value: unknown): void {
  const version = (value as { v?: unknown } | null)?.v;
  if (version !== undefined && version !== 1) {
    throw new MeshError('MESH_MESSAGE_VERSION', `version ${JSON.stringify(version).slice(0, 40)} is not spoken here`, {
      where: 'v',
      mend: 'send v: 1',
    });
  }
}

export function decodeUnchecked(payload: Uint8Array): unknown {
  if (payload.length > limits.payloadBytes) {
    throw new MeshError('MESH_LIMIT_EXCEEDED', `payloadBytes is ${limits.payloadBytes}, found ${payload.length}`);
  }
  if (payload.length === 0) throw new MeshError('MESH_MESSAGE_MALFORMED', 'the payload is empty');
  let value: unknown;
  try {
    value = payload[0] === 0x7b ? JSON.parse(utf8Decoder.decode(payload)) : cbor.decode(payload);
  } catch (error) {
    const kind = payload[0] === 0x7b ? 'JSON' : 'CBOR';
    const message = `not valid ${kind}: ${(error as Error).message}`;
    throw new MeshError('MESH_MESSAGE_MALFORMED', message.slice(0, messageCharacters), { cause: error });
  }
  checkPlain(value, 0);
  return value;
}

/**
 * Refuses what no schema should have to look at: CBOR tags (dates, sets, errors, ...), integers beyond 64 bits, and
 * nesting so deep that walking through it would overflow the stack.
 */
function checkPlain(value: unknown, level: number): void {
  if (typeof value === 'bigint') throw new MeshError('MESH_MESSAGE_MALFORMED', 'an integer is too large');
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  checkLimit('nestingLevels', level + 1, limits.nestingLevels);
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) {
    throw new MeshError('MESH_MESSAGE_MALFORMED', 'CBOR tags are not used here');
  }
  for (const each of Object.values(value)) checkPlain(each, level + 1);
}

/** Whether a value nests no deeper than a message may. */
export function isShallow(value: unknown): boolean {
  try {
    checkPlain(value, 0);
    return true;
  } catch {
    return false;
  }
}

export function decodeCbor(bytes: Uint8Array): unknown {
  return cbor.decode(bytes);
}

/** Checks a value against a schema; the first issue becomes the error, with its path. */
export function check<T>(
  schema: z.ZodType<T>,
  value: unknown,
  code: 'MESH_MESSAGE_MALFORMED' | 'MESH_SPEC_INVALID' | 'MESH_CONFIG_INVALID' | 'MESH_USAGE',
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = clearest(parsed.error.issues[0]!);
  // Both may quote what was sent, and that may be long.
  const where = path.map((key) => String(key).slice(0, 2 * limits.identifierCharacters)).join('.') || '(root)';
  throw new MeshError(code, message.slice(0, messageCharacters), { where: where.slice(0, messageCharacters) });
}

type Issue = Pick<z.core.$ZodIssue, 'path' | 'message'>;

/** What is wrong with a key; of a union, with the branch that was nearest to fitting: "Invalid input" helps nobody. */
function clearest(issue: z.core.$ZodIssue): Issue {
  if (issue.code === 'invalid_key') return { path: issue.path, message: issue.issues[0]?.message ?? issue.message };
  if (issue.code !== 'invalid_union') return issue;
  let best: z.core.$ZodIssue | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  for (const branch of issue.errors) {
    const first = branch[0];
    const score = branch.length + (first?.code === 'invalid_type' && first.path.length === 0 ? 0.5 : 0);
    if (first !== undefined && score < bestScore) {
      best = first;
      bestScore = score;
    }
  }
  if (best === undefined) return issue;
  const { path, message } = clearest(best);
  return { path: [...issue.path, ...path], message };
}
