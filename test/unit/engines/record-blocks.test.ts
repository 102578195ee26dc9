import { deepEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import type { SplitBy } from '../../../node-runtime/contract/index.ts';
import { blockEnd, countRecords, nextBlock } from '../../../node-runtime/engines/record-blocks.ts';
import { linesModel } from './lines-model.ts';

function blocksOf(bytes: Uint8Array, by: SplitBy, least: number): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const end = blockEnd(bytes, by, offset, least);
    blocks.push(bytes.subarray(offset, end));
    offset = nextBlock(bytes, by, end);
  }
  return blocks;
}

describe('record blocks', () => {
  it('cut lines only where a record ends', () => {
    const bytes = fc
      .array(fc.constantFrom(10, 13, 97, 98, 0xff, 0xc3, 0xa9, 0), { maxLength: 60 })
      .map((list) => Uint8Array.from(list));
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 12 }), (input, least) => {
        const expected = linesModel(input);
        deepEqual(
          blocksOf(input, 'lines', least).flatMap((block) => linesModel(block)),
          expected,
        );
        equal(countRecords(input, 'lines'), expected.length);
      }),
      { numRuns: 2_000 },
    );
  });

  it('cut items only at commas between elements', () => {
    fc.assert(
      fc.property(
        fc.array(fc.json()),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(',', ' ,\n'),
        (texts, least, comma) => {
          const bytes = Buffer.from(texts.join(comma));
          const blocks = blocksOf(bytes, 'items', least);
          deepEqual(
            blocks.flatMap((block) => JSON.parse(`[${Buffer.from(block)}]`)),
            texts.map((text) => JSON.parse(text)),
          );
          equal(countRecords(bytes, 'items'), texts.length);
        },
      ),
    );
  });

  it('stay inside bytes that are no JSON at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const sum = blocksOf(bytes, 'items', 3).reduce((total, block) => total + block.length, 0);
        equal(sum <= bytes.length, true);
        countRecords(bytes, 'items');
      }),
    );
  });
});
