import { deepEqual, throws } from 'node:assert/strict';
import fc from 'fast-check';
import { encodeFrame, FrameReader } from '../../../node-runtime/engines/frames.ts';

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    const frame = fc.tuple(
      fc.record({ text: fc.string(), number: fc.nat() }, { noNullPrototype: true }),
      fc.array(fc.uint8Array({ maxLength: 50 })),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 40 })), (frames, cuts) => {
        const stream = Buffer.concat(frames.flatMap(([head, parts]) => encodeFrame(head, parts)));
        const seen: unknown[] = [];
        const reader = new FrameReader(10_000, ({ head, body }) => seen.push([head, [...body]]));
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          reader.push(stream.subarray(at, at + cut));
          at += cut;
        }
        deepEqual(
          seen,
          frames.map(([head, parts]) => [head, parts.flatMap((part) => [...part])]),
        );
      }),
    );
  });

  it('are refused when a length is out of bounds or the head is no JSON', () => {
    const push = (bytes: Uint8Array) => () => new FrameReader(100, () => undefined).push(bytes);
    const prefix = (rest: number, head: number) => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32LE(rest, 0);
      bytes.writeUInt32LE(head, 4);
      return bytes;
    };
    throws(push(prefix(101, 2)), RangeError);
    throws(push(prefix(10, 11)), RangeError);
    throws(push(Buffer.concat([prefix(2, 2), Buffer.from('{x')])), SyntaxError);
  });
});
