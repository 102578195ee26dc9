import assert from 'node:assert/strict';
import {
  encode,
  type OfferChange,
  type QueryAnswer,
  queryAnswer,
  type WhyAnswer,
} from '@foremesh/node-runtime/contract';
import { answerQuery, createLedger, type Foresight } from '@foremesh/node-runtime/core';
import { assigned, done, failed, Leader, planOf, splitStage, stagePlan } from './samples.ts';

const MiB = 1024 ** 2;
const memory = (mebibytes: number) => ({
  memoryBytes: mebibytes * MiB,
  cpuMs: 1_000,
  wallMs: 1_000,
  outputBytes: 1_000,
});

/** Forecasts of the memory that is free, MiB, the last value for all steps that follow; the least first. */
function curvesOf(free: Record<string, Record<'q10' | 'q50' | 'q90', number[]>>): Foresight {
  const own = (values: number[], steps: number) =>
    Array.from({ length: steps }, (_, step) => 1 - (values[step] ?? values.at(-1)!) / 2_000);
  const none = { q10: [1], q50: [1], q90: [1] };
  return {
    open: ({ key, kind, intervalMs }) => ({
      model: 'told',
      observe: () => undefined,
      forecast: (steps) => {
        const { q10, q50, q90 } = (kind === 'memory' ? free[key.split('/')[0]!] : undefined) ?? none;
        return { intervalMs, q10: own(q90, steps), q50: own(q50, steps), q90: own(q10, steps) };
      },
    }),
  };
}

describe('planner: why a task is where it is', () => {
  let leader: Leader;
  beforeEach(() => {
    leader = new Leader();
    leader.elect();
  });

  function answer(name: string, job?: string, account = 'me'): QueryAnswer {
    const ask = { v: 1 as const, id: 'q', query: 'why' as const, name, ...(job === undefined ? {} : { job }) };
    const said = answerQuery(leader.planner, account, ask);
    assert.deepEqual(queryAnswer.parse(said), said, 'it is what the contract says');
    encode(said, 'json');
    return said;
  }
  function why(name: string, job?: string): WhyAnswer {
    const said = answer(name, job);
    assert.ok(said.query === 'why', JSON.stringify(said));
    return said.why;
  }
  const verdicts = ({ nodes }: WhyAnswer) => Object.fromEntries(nodes.map((n) => [n.node, `${n.verdict} ${n.reason}`]));

  it('names for each node what keeps it from a task that fits none, and how to mend it', () => {
    leader.join('small', { offeredMemoryBytes: 230 * MiB, labels: ['camera'] });
    leader.join('blind', { offeredMemoryBytes: 2_000 * MiB });
    leader.join('old', { engines: [] });
    leader.join('closed', { slots: 0, offeredMemoryBytes: 2_000 * MiB, labels: ['camera'] });
    leader.submit('j', planOf(stagePlan('blur', { limits: memory(900), labels: ['camera'] })));
    const { reason, code, mend, nodes, ...said } = why('blur-0');
    assert.deepEqual([reason, code, said.job, said.task], ['unplaceable', 'MESH_NO_ROOM', 'j', 'blur-0']);
    assert.ok(mend);
    assert.deepEqual(verdicts({ nodes } as WhyAnswer), {
      small: 'never memory',
      blind: 'never labels',
      old: 'never engine',
      closed: 'never no-slots',
    });
    assert.match(nodes[0]!.text, /offers 230 MiB, the task may use 900 MiB/);
    assert.match(nodes[0]!.mend!, /larger share/);
    assert.match(nodes[1]!.text, /lacks camera/);
    assert.deepEqual(why('j').task, 'blur-0', 'a job is explained by the task that waits');
  });

  it("says what a node's owner keeps it from, and what would undo that", () => {
    leader.join('paused', { slots: 0, withheld: { reason: 'paused', text: 'paused by its owner' } });
    leader.join('hot', { slots: 0, withheld: { reason: 'temperature', text: 'too hot: 81 °C' } });
    leader.join('mine', { onlyLabels: ['lab'] });
    leader.submit('j', planOf(stagePlan('s')));
    const { code, nodes } = why('s-0');
    assert.equal(code, 'MESH_NO_ROOM');
    assert.deepEqual(
      nodes.map(({ verdict, text, mend }) => [verdict, text, mend]),
      [
        ['never', 'paused by its owner', 'foremesh resume paused'],
        ['never', 'too hot: 81 °C', undefined],
        ['never', 'takes only what asks for lab', undefined],
      ],
    );
  });

  it('says that there is no node, and which were there', () => {
    leader.submit('j', planOf(stagePlan('s')));
    assert.deepEqual([why('s-0').reason, why('s-0').code], ['unplaceable', 'MESH_NO_ROOM']);
    leader.join('bob');
    leader.step({ type: 'tick' }, 20_001);
    const away = why('s-0');
    assert.deepEqual(verdicts(away), { bob: 'later away' });
    assert.deepEqual(away.reason, 'unplaceable');
    assert.match(away.nodes[0]!.text, /away for 20 s/);
  });

  it('says where a task runs, since when, and what the alternatives were then', () => {
    leader.join('bob', { slots: 1, speed: { js: 2 } });
    leader.join('cyd', { slots: 1 });
    leader.join('dan', { slots: 1, offeredMemoryBytes: 1 });
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s'))));
    assert.equal(first!.node, 'bob');
    leader.step({ type: 'tick' }, 40);
    assert.equal(why('s-0').reason, 'assigned');
    leader.report('bob', [{ type: 'started', attempt: first!.attempt }]);
    leader.step({ type: 'tick' }, 60);
    // What happens to the nodes later is not what was known then.
    leader.join('cyd', { slots: 4, speed: { js: 9 }, seq: 2 });
    const { reason, placed, nodes, code } = why('s-0');
    assert.deepEqual([reason, code], ['running', undefined]);
    assert.deepEqual(placed, { node: 'bob', attempt: first!.attempt, assignedMs: 100, startedMs: 60 });
    assert.deepEqual(
      nodes.map(({ node, verdict, text }) => [node, verdict, text.split(',')[0]]),
      [
        ['bob', 'chosen', "2.00 of a Raspberry Pi 4's core for each slot"],
        ['cyd', 'could', "1.00 of a Raspberry Pi 4's core for each slot"],
      ],
    );
    leader.report('bob', [done(first!.attempt)]);
    assert.deepEqual([why('s-0').reason, why('j').reason], ['done', 'done']);
    assert.match(why('s-0').text, /done by bob in 20 ms/);
  });

  it('counts what a task stands behind, and what is of a higher priority', () => {
    leader.join('bob', { slots: 1, queue: 0 });
    leader.submit('running', planOf(stagePlan('r')));
    leader.submit('low', planOf(stagePlan('a', { priority: 3 }), stagePlan('b', { priority: 3 })));
    leader.submit('high', planOf(stagePlan('c', { priority: 7 })));
    const { reason, ahead, nodes, code } = why('b-0');
    assert.deepEqual([reason, ahead, code], ['queued', { tasks: 2, higher: 1 }, undefined]);
    assert.deepEqual(
      nodes.map(({ text }) => text),
      ['runs 1 of 1'],
    );
    assert.deepEqual(why('c-0').ahead, { tasks: 0, higher: 0 });
  });

  it('tells memory that is promised from memory that is not there', () => {
    leader.join('bob', { slots: 2, offeredMemoryBytes: 100 * MiB });
    leader.submit('one', planOf(stagePlan('a', { limits: memory(60) })));
    leader.submit('two', planOf(stagePlan('b', { limits: memory(60) })));
    const { reason, nodes } = why('b-0');
    assert.equal(reason, 'queued');
    assert.deepEqual([nodes[0]!.reason, nodes[0]!.text], ['memory-now', '40 MiB of 100 MiB free now']);
  });

  it('says when there is room first, by what is expected of memory and of the tasks that run', () => {
    const told = curvesOf({
      pi: { q10: [600, 600, 600, 1_000], q50: [600, 600, 1_000], q90: [600, 1_000] },
      nas: { q10: [500], q50: [500, 500, 500, 500, 1_200], q90: [500, 1_200] },
    });
    leader = new Leader({ forecastSteps: 5, nodeSilenceMs: 1e9 }, createLedger(), 1, { createForesight: () => told });
    leader.elect();
    for (const node of ['pi', 'nas'])
      leader.join(node, { slots: 1, memoryBytes: 2_000 * MiB, offeredMemoryBytes: 1_500 * MiB });
    leader.submit('j', planOf(stagePlan('blur', { limits: memory(900), estimateSeconds: 60 })));
    assert.equal(why('blur-0').reason, 'assigned', 'nobody has said yet how much is free');
    leader.report('pi', [done([...leader.planner.attempts.keys()][0]!)]);
    for (const ms of [8_001, 60_000, 60_000]) {
      for (const node of ['pi', 'nas']) {
        const sample = {
          ...{ ageMs: 0, cpuShare: 0, cpuBackgroundShare: 0, memoryMeshBytes: 0 },
          ...{ memoryAvailableBytes: (node === 'pi' ? 600 : 500) * MiB },
          ...{ networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 },
        };
        const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq: leader.nowMs, samples: [sample] };
        leader.step({ type: 'node-metrics', metrics });
      }
      leader.step({ type: 'tick' }, ms);
    }
    leader.submit('k', planOf(stagePlan('sharp', { limits: memory(900) })));
    const { reason, code, text, room, nodes } = why('sharp-0');
    assert.deepEqual([reason, code], ['queued', 'MESH_NO_ROOM']);
    assert.match(text, /^waits: needs 900 MiB, and no node has as much free now$/);
    assert.equal(room!.node, 'pi');
    assert.deepEqual(
      nodes.map(({ node, text: said, reason: because }) => [node, because, said]),
      [
        ['pi', 'memory-now', '600 MiB of 1500 MiB free now'],
        ['nas', 'memory-now', '500 MiB of 1500 MiB free now'],
      ],
    );
    const steps = (ms: number | undefined) => (ms === undefined ? undefined : Math.ceil(ms / 60_000));
    const shown = nodes.map(({ room: each }) => [each!.earliestMs, each!.afterMs, each!.latestMs].map(steps));
    // The second minute of both forecasts is under way, in which there is no room.
    assert.deepEqual(shown, [
      [1, 1, 2],
      [1, 3, undefined],
    ]);
    assert.equal(nodes[1]!.room!.memoryBytes, 1_200 * MiB);
    assert.equal(steps(nodes[1]!.room!.horizonMs), 4);
  });

  it('says when there is room where the hours of an owner begin', () => {
    const told = curvesOf({ pi: { q10: [1_000], q50: [1_000], q90: [1_000] } });
    leader = new Leader({ forecastSteps: 5, nodeSilenceMs: 1e9 }, createLedger(), 1, { createForesight: () => told });
    leader.elect();
    const hours = { reason: 'hours', text: 'only 22:00-07:00' } as const;
    leader.join('pi', { slots: 0, withheld: hours, memoryBytes: 2_000 * MiB, offeredMemoryBytes: 1_500 * MiB });
    let seq = 0;
    const hear = (ahead?: OfferChange[]) => {
      seq += 1;
      const sample = {
        ...{ ageMs: 0, cpuShare: 0, cpuBackgroundShare: 0, memoryMeshBytes: 0, memoryAvailableBytes: 1_000 * MiB },
        ...{ networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 },
      };
      const metrics = { v: 1 as const, node: 'pi', bootId: 'pi-1', seq, samples: [sample] };
      leader.step({ type: 'node-metrics', metrics: { ...metrics, ...(ahead === undefined ? {} : { ahead }) } });
    };
    for (const ms of [8_001, 60_000, 60_000]) {
      hear();
      leader.step({ type: 'tick' }, ms);
    }
    leader.submit('j', planOf(stagePlan('s', { limits: memory(900) })));
    assert.deepEqual([why('s-0').code, verdicts(why('s-0')).pi], ['MESH_NO_ROOM', 'never no-slots']);
    hear([{ afterMs: 130_000, slots: 1 }]);
    const { reason, code, text, room, nodes } = why('s-0');
    assert.deepEqual([reason, code], ['queued', 'MESH_NO_ROOM']);
    assert.equal(text, 'waits: no node takes work now');
    assert.deepEqual([nodes[0]!.verdict, nodes[0]!.text], ['later', 'only 22:00-07:00']);
    assert.ok(room!.afterMs! >= 130_000 && room!.afterMs! < 190_000, `${room!.afterMs}`);
    assert.equal(room!.latestMs, room!.afterMs);
    hear([{ afterMs: 600_000, slots: 1 }]);
    assert.equal(verdicts(why('s-0')).pi, 'never no-slots', 'as far as is foreseen');
  });

  for (const [fault, expected, text] of [
    ['task', 'later failed', /it failed there \(MESH_TASK_THREW: boom\)/],
    ['node', 'later backoff', /could not run it; tried again in 1000 ms/],
  ] as const) {
    it(`names a node that is spared, after a fault of the ${fault}, while another could run it`, () => {
      leader.join('bob', { slots: 1, queue: 0, speed: { js: 2 } });
      leader.join('cyd', { slots: 1, queue: 0 });
      const [mine] = assigned(leader.submit('j', planOf(stagePlan('s'))));
      const [other] = assigned(leader.submit('k', planOf(stagePlan('t'))));
      assert.deepEqual([mine!.node, other!.node], ['bob', 'cyd']);
      leader.report('bob', [failed(mine!.attempt, fault)]);
      const { reason, nodes } = why('s-0');
      assert.equal(reason, 'queued');
      assert.deepEqual(verdicts({ nodes } as WhyAnswer), { bob: expected, cyd: 'later busy' });
      assert.match(nodes[0]!.text, text);
    });
  }

  it('says which parts a merge waits for, and which stages a stage', () => {
    leader.join('bob', { slots: 1, queue: 0 });
    leader.submit('j', planOf(splitStage('s', 3, { sink: false }), stagePlan('t', { needs: ['s'] })));
    assert.deepEqual(
      why('j').stages.map(({ stage, reason }) => [stage, reason]),
      [
        ['s', 'index'],
        ['t', 'needs'],
      ],
    );
    assert.equal(why('j').text, 's: its records are being counted and cut');
    leader.indexed('j', 's', 9);
    const merge = why('s-merge');
    assert.deepEqual([merge.reason, merge.waitsFor], ['parts', ['s-0', 's-1', 's-2']]);
    assert.deepEqual(why('j').stages[1], { stage: 't', reason: 'needs', text: 'waits for s' });
  });

  it('says how a job ended, and knows no job and no task of others', () => {
    leader.join('bob');
    leader.submit('j', planOf(stagePlan('s')));
    leader.step({ type: 'cancel-requested', account: 'me', job: 'j', reason: 'enough' });
    const { reason, code, text } = why('j');
    assert.deepEqual([reason, code], ['cancelled', 'MESH_JOB_CANCELLED']);
    assert.match(text, /enough/);
    for (const [name, job, account] of [
      ['nothing', undefined, 'me'],
      ['s-0', 'other', 'me'],
      ['s-0', undefined, 'you'],
      ['j', undefined, 'you'],
    ] as const) {
      const said = answer(name, job, account);
      assert.ok(said.query === 'error' && said.problem.code === 'MESH_TASK_UNKNOWN', `${name} ${job} ${account}`);
    }
  });

  it('takes, of two jobs with tasks of one name, the newer one unless told', () => {
    leader.join('bob');
    leader.submit('one', planOf(stagePlan('s')));
    leader.submit('two', planOf(stagePlan('s')));
    assert.deepEqual([why('s-0').job, why('s-0', 'one').job], ['two', 'one']);
  });
});
