import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PlanAnswer, type PlanTaskRow, planAnswer } from '@foremesh/node-runtime/contract';
import { ganttOf } from '../../../node-runtime/cli/plan/gantt.ts';
import { closingLines, stageLines } from '../../../node-runtime/cli/plan/summary.ts';
import { planSvgOf } from '../../../node-runtime/cli/plan/svg.ts';
import { coloured, plain } from '../../../node-runtime/cli/style.ts';
import { widthOf } from '../../../node-runtime/cli/text.ts';

const golden = join(import.meta.dirname, 'plan.golden.txt');
const nowMs = new Date(2026, 6, 1, 14, 2, 0).getTime();

function row(
  stage: string,
  number: number | 'merge',
  node: string,
  slot: number,
  seconds: [number, number],
): PlanTaskRow {
  const [startMs, finishMs] = seconds.map((each) => each * 1_000) as [number, number];
  return { task: `${stage}-${number}`, stage, node, startMs, finishMs, ...(slot < 0 ? {} : { slot }) };
}

const flights: PlanAnswer = {
  stages: [
    {
      ...{ stage: 'map', needs: [], tasks: 6, isExact: false, merges: true, basis: 'own' },
      ...{ workSeconds: { q10: 3.6, q50: 4.4, q90: 5.3 }, startMs: 0, finishMs: 21_000 },
    },
    {
      ...{ stage: 'mail', needs: ['map'], tasks: 1, isExact: true, merges: false, basis: 'author' },
      ...{ workSeconds: { q10: 1, q50: 2, q90: 4 }, startMs: 21_000, finishMs: 23_000 },
    },
    {
      ...{ stage: 'plot', needs: ['map'], tasks: 1, isExact: true, merges: false, basis: 'all' },
      ...{ evidence: { tasks: 0, categoryCodes: 0, codes: 2 }, workSeconds: { q10: 1, q50: 2, q90: 4 } },
      growth: 'guessed',
      unknownCategory: { name: 'plots', known: ['data-analysis', 'images'] },
    },
  ],
  nodes: [
    { node: 'pi-10', slots: 1, tasks: 2 },
    { node: 'pi-2', slots: 2, tasks: 6 },
    { node: 'nas', slots: 1, tasks: 0 },
  ],
  algorithm: 'default',
  finish: { q10Ms: 20_100, q50Ms: 23_400, q90Ms: 31_000 },
  cost: { finishSeconds: 24.2, contentionSeconds: 3.1, transferSeconds: 0.4, riskSeconds: 0.01 },
  promise: { withinMs: 31_000, confidence: 0.9 },
  problems: [],
  tasks: [
    row('map', 0, 'pi-10', -1, [0, 9]),
    row('map', 1, 'pi-10', 0, [9, 18]),
    row('map', 2, 'pi-2', 0, [0, 7]),
    row('map', 3, 'pi-2', 1, [0, 6.5]),
    row('map', 4, 'pi-2', 0, [7, 14]),
    row('map', 5, 'pi-2', 1, [6.5, 20.9]),
    row('map', 'merge', 'pi-2', 0, [20.9, 21]),
    row('mail', 0, 'pi-2', 1, [21, 23]),
  ],
  truncated: 0,
};
const late: PlanAnswer = {
  ...flights,
  stages: [{ ...flights.stages[0]!, sizedFor: { confidence: 0.95, share: 0.72 } }, ...flights.stages.slice(1)],
  deadline: { withinMs: 20_000, confidence: 0.95, probability: 0.08 },
  problems: [
    {
      code: 'MESH_DEADLINE_UNLIKELY',
      message:
        'the deadline in 20 s is met with 8 %, asked for were 95 %; as things are it is done in 23 s (50 %), in 33 s (95 %)',
      mend: 'allow more time, give it a higher `priority`, or start more nodes; it runs all the same',
    },
  ],
};
const { finish: _finish, cost: _cost, promise: _promise, ...unplanned } = flights;
const refusal = {
  code: 'MESH_NO_ROOM',
  message: 'stage map fits no node (pi-2: lacks camera)',
  mend: 'start it with --labels camera',
};
const nowhere: PlanAnswer = {
  ...unplanned,
  stages: [
    {
      ...{ stage: 'map', needs: [], tasks: 6, isExact: false, merges: true, basis: 'none' },
      problem: refusal,
    },
  ],
  problems: [refusal],
  tasks: [],
};
const scenes = { flights, late, nowhere };

function shownOf(plan: PlanAnswer, columns: number, paint = plain): string[] {
  return [...stageLines(plan), '', ...ganttOf(plan, columns, paint), '', ...closingLines(plan, nowMs, paint)];
}

describe('golden: a plan in the terminal', () => {
  it('is drawn as it is in the file; UPDATE_GOLDEN=1 writes it anew', async () => {
    const shown: string[] = [];
    for (const [name, plan] of Object.entries(scenes)) {
      assert.deepEqual(planAnswer.parse(plan), plan);
      for (const columns of [100, 48]) shown.push(`## ${name}, ${columns} columns`, '', ...shownOf(plan, columns), '');
    }
    const text = shown.join('\n');
    if (process.env.UPDATE_GOLDEN === '1') await writeFile(golden, text);
    assert.equal(text, await readFile(golden, 'utf8'));
  });

  it('has a chart that is never wider than the terminal, and says the same with colours', () => {
    for (const plan of Object.values(scenes)) {
      for (const columns of [40, 79, 100, 300]) {
        const lines = ganttOf(plan, columns, coloured);
        for (const line of lines.slice(0, -1))
          assert.ok(widthOf(line) < columns, `${widthOf(line)} of ${columns}: ${line}`);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
        const bare = lines.map((line) => line.replace(/\u001b\[[0-9;]*m/g, ''));
        assert.deepEqual(bare, ganttOf(plan, columns, plain));
      }
    }
  });

  it('is a picture with a bar for each task, the band and the deadline', () => {
    const svg = planSvgOf('flights & more', late);
    for (const { task } of late.tasks) assert.ok(svg.includes(`<title>${task}: `), task);
    assert.ok(svg.includes('flights &amp; more') && svg.includes('deadline') && svg.includes('done here with 80 %'));
    assert.equal(svg.split('<svg').length, 2);
    assert.ok(!planSvgOf('none', nowhere).includes('NaN'));
    assert.ok(!svg.includes('NaN'));
  });
});
