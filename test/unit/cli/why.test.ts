import assert from 'node:assert/strict';
import { runCli } from '@foremesh/node-runtime/cli';
import type { WhyAnswer, WhyNode } from '@foremesh/node-runtime/contract';
import { meshOfSuite } from './mesh-of-suite.ts';

const minuteMs = 60_000;
const MiB = 1024 ** 2;
const horizonMs = 30 * minuteMs;

const pi4: WhyNode = {
  ...{ node: 'pi-4', verdict: 'later', reason: 'memory-now', text: '760 MiB of 2000 MiB free now' },
  room: {
    earliestMs: 12 * minuteMs,
    afterMs: 20 * minuteMs,
    latestMs: 29 * minuteMs,
    horizonMs,
    memoryBytes: 1_200 * MiB,
  },
};
const pi3: WhyNode = {
  ...{ node: 'pi-3', verdict: 'never', reason: 'memory', text: 'offers 230 MiB, the task may use 900 MiB' },
  mend: 'give it a larger share, or lower limits.memory of the stage',
};
const answer: WhyAnswer = {
  ...{ job: 'photos', task: 'blur-12', reason: 'queued', code: 'MESH_NO_ROOM', mend: 'wait' },
  text: 'waits: needs 900 MiB, and no node has as much free now',
  room: { node: 'pi-4', ...pi4.room! },
  ...{ waitsFor: [], nodes: [pi4, pi3], truncated: 0, stages: [] },
};

describe('cli: why', () => {
  const { mesh, newIo } = meshOfSuite();
  let why: WhyAnswer;
  mesh.answer = () => ({ query: 'why', why });

  /** What it prints, with each time of day as the minutes from when it was asked. */
  async function printed(): Promise<string[]> {
    const io = newIo();
    const askedMs = Date.now();
    assert.equal(await runCli(['why', 'blur-12'], io), 2, io.err);
    const day = 24 * 60;
    const now = new Date(askedMs);
    const minute = now.getHours() * 60 + now.getMinutes();
    const relative = io.text.replace(/\d\d:\d\d/g, (time) => {
      const [hours, minutes] = time.split(':').map(Number) as [number, number];
      return `+${(hours * 60 + minutes - minute + day) % day}`;
    });
    // Should it have become another minute meanwhile: then all times are later by one.
    return new Date().getMinutes() === now.getMinutes() ? relative.trimEnd().split('\n') : printed();
  }

  it('says when there is room first, and what is free then, by the clock of who asks', async () => {
    why = answer;
    assert.deepEqual(await printed(), [
      'blur-12 (job photos) waits: needs 900 MiB, and no node has as much free now; first room at +20 (80 %: +12-+29)',
      '  pi-4  760 MiB of 2000 MiB free now, 1200 MiB at +20  <- plan',
      '  pi-3  offers 230 MiB, the task may use 900 MiB         -> give it a larger share, or lower limits.memory of the stage',
      'MESH_NO_ROOM: wait',
    ]);
  });

  it('says of one that stands behind others for whom there is room first, and when it begins by the plan', async () => {
    const busy: WhyNode = {
      ...{ node: 'pi-4', verdict: 'later', reason: 'busy', text: 'runs 2 of 2' },
      room: { ...pi4.room!, memoryBytes: 12_052 * MiB },
    };
    why = {
      ...{ ...answer, text: 'waits behind 3 tasks, 0 of them of a higher priority than 5', nodes: [busy] },
      ...{ ahead: { tasks: 3, higher: 0 }, planned: { node: 'nas', startMs: 24 * minuteMs } },
    };
    assert.deepEqual((await printed()).slice(0, 2), [
      'blur-12 (job photos) waits behind 3 tasks, 0 of them of a higher priority than 5; first room for any of them at +20 (80 %: +12-+29); by the plan it begins about +24, on nas',
      '  pi-4  runs 2 of 2, room at +20  <- plan',
    ]);
  });

  it('tells seconds where the band is narrow, and none where nothing is uncertain', async () => {
    why = { ...answer, room: { node: 'pi-4', horizonMs, earliestMs: 10_000, afterMs: 40_000, latestMs: 70_000 } };
    assert.match((await printed())[0]!, /first room at \+\d:\d\d \(80 %: \+\d:\d\d-\+\d:\d\d\)$/);
    const opensMs = 20 * minuteMs;
    why = { ...answer, room: { node: 'pi-4', horizonMs, earliestMs: opensMs, afterMs: opensMs, latestMs: opensMs } };
    assert.match((await printed())[0]!, /first room at \+20:\d\d$/);
  });

  it('says of a task that was moved why, and what each place would have cost', async () => {
    const cost = (startSeconds: number, finishSeconds: number, contentionSeconds: number) => ({
      ...{ startSeconds, finishSeconds, contentionSeconds, transferSeconds: 0, riskSeconds: 0 },
      finishQuantilesSeconds: { q10: finishSeconds - 10, q50: finishSeconds, q90: finishSeconds + 10 },
      totalSeconds: finishSeconds + contentionSeconds,
    });
    const moved = { kind: 'restart' as const, to: ['pi-3'], gainSeconds: 70.04, chargeSeconds: 5.25 };
    const move = {
      ...{ decision: 'moved' as const, agoMs: 12_000, from: 'pi-4', text: 'pi-4 will be busy in 40 s' },
      ...{ stay: cost(0, 60, 40), alternatives: [{ ...moved, cost: cost(0.25, 30, 0) }] },
    };
    const { room: _, ...rest } = answer;
    why = { ...rest, text: 'runs on pi-3', nodes: [], move };
    assert.deepEqual((await printed()).slice(1, -1), [
      '  moved from pi-4 12 s ago: pi-4 will be busy in 40 s',
      '    pi-4  cost 100: ends in 60.0 s (80 %: 50.0-70.0) + 40.0 contention',
      '    pi-3  cost 30.0: ends in 30.0 s (80 %: 20.0-40.0); a restart gains 70.0 s, and is charged 5.3 s',
    ]);
  });

  it('says what each node would cost, what counts how much, and which term decided', async () => {
    const cost = {
      startSeconds: 0,
      finishQuantilesSeconds: { q10: 8.04, q50: 12, q90: 320.4 },
      finishSeconds: 12.34,
      contentionSeconds: 3.1,
      transferSeconds: 0.04,
      riskSeconds: 0.2,
      totalSeconds: 18.78,
    };
    const weights = { makespan: 1, contention: 2, transfer: 1, risk: 1 };
    const text = "2.00 of a Raspberry Pi 4's core for each slot, 1 free";
    const bob: WhyNode = { node: 'bob', verdict: 'chosen', reason: 'room', text, cost };
    const cyd: WhyNode = { node: 'cyd', verdict: 'could', reason: 'room', text };
    why = { ...answer, text: 'runs on bob', nodes: [bob, cyd], weights, decidedBy: 'contention' };
    delete why.room;
    assert.deepEqual((await printed()).slice(0, 4), [
      'blur-12 (job photos) runs on bob',
      "  bob  2.00 of a Raspberry Pi 4's core for each slot, 1 free  cost 18.8: ends in 12.3 s (80 %: 8.0-320) + 2 x 3.1 contention + 0.2 risk  <- chosen",
      "  cyd  2.00 of a Raspberry Pi 4's core for each slot, 1 free",
      '  decided by: contention',
    ]);
  });

  it('says how little is sure where the end of what is foreseen comes first', async () => {
    for (const [room, said] of [
      [{ earliestMs: 0, afterMs: 5 * minuteMs }, 'first room at +5 (80 %: +0-later than +30)'],
      [{ earliestMs: 10 * minuteMs }, 'first room perhaps at +10 (80 %: +10-later than +30)'],
      [{}, 'first room later than +30, as far as is foreseen'],
    ] as const) {
      why = { ...answer, room: { node: 'pi-4', horizonMs, ...room }, nodes: [] };
      assert.equal((await printed())[0]!.split('; ')[1], said);
    }
  });
});
