import assert from 'node:assert/strict';
import { createForesight } from '@foremesh/models';
import { createLedger, plannerDefaults } from '@foremesh/node-runtime/core';
import { assigned, Leader, planOf, stagePlan } from './samples.ts';

const stepMs = 1_000;
/**
 * The share of its cores that a device needed itself, second by second, as `bench -- foresight-live` measured it: a process takes all it gets for
 * 12 s of each 30 s. It ends a second before the fifth time.
 */
const recorded = `
  .097 .047 .053 .054 .05 .058 .06 .045 .041 .077 .057 .063 .047 .05 .05 .047 .046 .055 .053
  .359 .955 .768 .901 .892 .792 .834 .831 .782 .754 .829 .776 .348 .035 .06 .045 .041 .064 .065 .052 .069 .036 .076 .067 .058 .054 .046 .05 .061 .061
  .424 .768 .886 .674 .798 .904 .81 .896 .842 .83 .829 .852 .374 .039 .044 .034 .04 .039 .043 .058 .045 .058 .05 .041 .052 .042 .047 .047 .041
  .364 .882 .817 .931 .72 .85 .896 .731 .865 .725 .863 .877 .429 .071 .047 .053 .049 .045 .037 .044 .034 .037 .041 .039 .042 .032 .043 .046 .045 .043
  .471 .81 .887 .811 .813 .818 .751 .803 .84 .837 .855 .813 .37 .038 .051 .041 .05 .056 .032 .045 .037 .05 .052 .035 .037 .051 .039 .04 .039`
  .trim()
  .split(/\s+/)
  .map(Number);
const idle = 0.05;

describe('planner: policies on a recorded pattern', () => {
  /** Two devices, the second half as large, whose leader has seen all but the last so many seconds; where it puts a task of 6 s on the first. */
  function placed(looksAhead: boolean, leftOut: number): string[] {
    const foresight = () => createForesight({ steps: plannerDefaults.forecastSteps });
    const leader = new Leader({ forecastStepMs: stepMs }, createLedger(), 1, {
      createForesight: foresight,
      looksAhead,
    });
    leader.elect();
    for (const [node, cores] of [
      ['bob', 0.4],
      ['cyd', 0.2],
    ] as const)
      leader.join(node, { cores, slots: 1 });
    const measured = (node: string, seq: number, cpuBackgroundShare: number, afterMs: number) => {
      const sample = {
        ...{
          ageMs: 0,
          cpuShare: cpuBackgroundShare,
          cpuBackgroundShare,
          memoryAvailableBytes: 2 ** 30,
          memoryMeshBytes: 0,
        },
        ...{ networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 },
      };
      const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq, samples: [sample] };
      leader.step({ type: 'node-metrics', metrics }, afterMs);
    };
    for (const [seq, own] of recorded.slice(0, recorded.length - leftOut).entries()) {
      measured('bob', seq, own, stepMs);
      measured('cyd', seq, idle, 0);
      leader.step({ type: 'tick' });
    }
    const task = stagePlan('sums', { estimateSeconds: 2.4 });
    return assigned(leader.submit('job', planOf(task))).map(({ node }) => node);
  }

  it('before a busy time the larger device is passed over by who looks ahead, and by nobody else', () => {
    assert.deepEqual(placed(true, 0), ['cyd']);
    assert.deepEqual(placed(false, 0), ['bob']);
  });

  it('early in an idle time both take it', () => {
    assert.deepEqual(placed(true, 14), ['bob']);
    assert.deepEqual(placed(false, 14), ['bob']);
  });
});
