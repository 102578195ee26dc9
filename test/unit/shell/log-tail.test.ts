import assert from 'node:assert/strict';
import { limits } from '@foremesh/node-runtime/contract';
import fc from 'fast-check';
import { LogTail } from '../../../node-runtime/shell/log-tail.ts';

describe('the end of a log', () => {
  it('is all of a short one, and nothing of none', () => {
    const tail = new LogTail();
    assert.equal(tail.content(), undefined);
    tail.add(['one', '']);
    tail.add(['zwölf']);
    assert.equal(Buffer.from(tail.content()!).toString(), 'one\n\nzwölf\n');
  });

  it('is whole lines up to the last, as many as have room, and says how many came before', () => {
    const line = fc
      .string({ unit: 'grapheme', maxLength: limits.logLineCharacters })
      .map((text) => text.replaceAll('\n', ''));
    const wide = fc.integer({ min: 0, max: 500 }).map((length) => '€'.repeat(length));
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.oneof(line, wide), { maxLength: 40 }), { maxLength: 30, size: 'max' }),
        (batches) => {
          const tail = new LogTail();
          for (const batch of batches) tail.add(batch);
          const all = batches.flat();
          const bytes = tail.content();
          if (bytes === undefined) return assert.equal(all.length, 0);
          assert.ok(bytes.length <= limits.logTailBytes);
          const kept = Buffer.from(bytes).toString().split('\n').slice(0, -1);
          const [, dropped] = /^\((\d+) lines before these are not kept\)$/.exec(kept[0]!) ?? [];
          if (dropped !== undefined) kept.shift();
          assert.deepEqual(kept, all.slice(Number(dropped ?? 0)));
          // And no fewer than there is room for.
          const next = dropped === undefined ? '' : all[Number(dropped) - 1]!;
          if (dropped !== undefined) assert.ok(bytes.length + Buffer.byteLength(next) + 1 > limits.logTailBytes - 64);
        },
      ),
    );
  });
});
