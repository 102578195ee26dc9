// The pure JavaScript build, the same for `import` and `require`: `cbor-x/encode` under `require` is the one that calls the
// native addon which our overrides leave out. No `eval` either: a strict page can load it.
import { Encoder } from 'cbor-x/index-no-eval';
import type * as z from 'zod';
import { MeshError } from './errors.ts';
import { limits } from './limits.ts';

// Plain CBOR maps (RFC 8949) that any client in any language reads: no cbor-x records, no tags for byte strings.
const cbor = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });
const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true });

export type Encoding = 'json' | 'cbor';

/** Encodes one message. Throws `MESH_LIMIT_EXCEEDED` when it is larger than `payloadBytes`. */
export function encode(message: unknown, encoding: Encoding): Uint8Array {
  const payload = encoding === 'cbor' ? encodeCbor(message) : encodeJson(message);
  if (payload.length > limits.payloadBytes) {
    throw new MeshError(
      'MESH_LIMIT_EXCEEDED',
      `payloadBytes is ${limits.payloadBytes}, this message has ${payload.length}`,
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
  const version = (value as { v?: unknown } | null)?.v;
  if (version !== undefined && version !== 1) {
    throw new MeshError('MESH_MESSAGE_VERSION', `version ${JSON.stringify(version)} is not spoken here`, {
      where: 'v',
      mend: 'send v: 1',
    });
  }
  return check(schema, value, 'MESH_MESSAGE_MALFORMED');
}

export function decodeUnchecked(payload: Uint8Array): unknown {
  if (payload.length > limits.payloadBytes) {
    throw new MeshError('MESH_LIMIT_EXCEEDED', `payloadBytes is ${limits.payloadBytes}, found ${payload.length}`);
  }
  if (payload.length === 0) throw new MeshError('MESH_MESSAGE_MALFORMED', 'the payload is empty');
  try {
    if (payload[0] === 0x7b) return JSON.parse(utf8Decoder.decode(payload));
    return cbor.decode(payload);
  } catch (error) {
    const kind = payload[0] === 0x7b ? 'JSON' : 'CBOR';
    throw new MeshError('MESH_MESSAGE_MALFORMED', `not valid ${kind}: ${(error as Error).message}`, { cause: error });
  }
}

export function decodeCbor(bytes: Uint8Array): unknown {
  return cbor.decode(bytes);
}

/** Checks a value against a schema; the first issue becomes the error, with its path. */
export function check<T>(
  schema: z.ZodType<T>,
  value: unknown,
  code: 'MESH_MESSAGE_MALFORMED' | 'MESH_SPEC_INVALID' | 'MESH_CONFIG_INVALID',
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new MeshError(code, issue.message, { where: issue.path.map(String).join('.') || '(root)' });
}
