import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Model, type Step } from './history-model.ts';

const share = fc.double({ min: 0, max: 1, noNaN: true });
const gap = fc.oneof(
  { weight: 15, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.integer({ min: 2, max: 90 }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('sample'), gaps: fc.array(gap, { minLength: 1, maxLength: 400 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'stop' }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('crash'), shares: fc.tuple(share, share, share) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('set-clock'), wallMs: fc.nat(2e12) }) },
) as fc.Arbitrary<Step>;

async function live(steps: readonly Step[], runs = 1): Promise<Model> {
  const directory = await mkdtemp(join(tmpdir(), 'foremesh-history-'));
  const model = new Model(directory);
  try {
    await model.open();
    for (let run = 0; run < runs; run += 1) for (const each of steps) await model.perform(each);
    await model.close();
    return model;
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('property: the history of a node', function () {
  this.timeout(120_000);

  it('loses at most a block of samples to a crash, keeps all else in order, whatever the wall clock says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => void (await live(steps))),
      { numRuns: 60 },
    );
  });

  it('keeps its newest hour, day and month when its files are full', async () => {
    const gaps = Array.from({ length: 12_000 }, () => 1);
    const day: Step[] = [
      { do: 'sample', gaps },
      { do: 'crash', shares: [0.5, 0.5, 0.5] },
    ];
    await live(day, 3);
  });

  it('survives a write that was cut off at any byte, and says that it was', async () => {
    const gaps = Array.from({ length: 11 }, () => 1);
    for (let byte = 0; byte <= 370; byte += 1) {
      const crash: Step = { do: 'crash', shares: [byte / 370, 0, 0] };
      const { problems } = await live([{ do: 'sample', gaps }, { do: 'stop' }, { do: 'sample', gaps }, crash]);
      assert.ok(problems.length <= 1, problems.join('\n'));
      if (byte > 10 && byte < 360) assert.match(problems[0]!, /^history: 1 blocks of 5s cannot be read/);
    }
  });
});
