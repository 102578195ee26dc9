/**
 * The first thing a newcomer sees (`npm start`): a mesh of three nodes finishes a real job over MQTT, although one of the
 * nodes is killed half-way, and the result equals the same computation in one process.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleTask } from '@foremesh/author';
import { connectMesh, type JobHandle, type MeshClient } from '@foremesh/node-runtime/sdk';
import { processIo } from '../../node-runtime/cli/io.ts';
import { loadJobFile } from '../../node-runtime/cli/job-file.ts';
import { bundleFiles, fillSpec } from '../../node-runtime/cli/job-payload.ts';
import { Live } from '../../node-runtime/cli/live.ts';
import { plainJob, promisedText, renderJob } from '../../node-runtime/cli/progress.ts';
import { paintFor } from '../../node-runtime/cli/style.ts';
import { durationText, plural } from '../../node-runtime/cli/text.ts';
import { DemoFleet } from './fleet.ts';
import { computeHere, flightsFile } from './single-process.ts';
import type { Flight, Row } from './statistics.ts';
import { renderRows } from './table.ts';

const io = processIo();
const paint = paintFor(io.stdout, io.environment, true);
const say = (text: string) => io.stdout.write(`${paint('busy', '*')} ${text}\n`);
const victim = 'bob';

async function run(fleet: DemoFleet): Promise<void> {
  say('broker on 127.0.0.1, loopback only');
  await fleet.startNode('ada', false);
  await Promise.all([fleet.startNode('bob', true), fleet.startNode('cyd', true)]);
  say('ada bob cyd joined');
  const client = await connectMesh(fleet.connection);
  try {
    const rows = await computeOnMesh(fleet, client);
    io.stdout.write(`\n${renderRows(rows, paint).join('\n')}\n\n`);
    compare(rows);
  } finally {
    await client.close();
  }
}

async function computeOnMesh(fleet: DemoFleet, client: MeshClient): Promise<Row[]> {
  const job = await loadJobFile(fileURLToPath(new URL('job.yaml', import.meta.url)), { directory: io.directory });
  const code = await bundleFiles(job, { bundleTask });
  const spec = await fillSpec(
    job,
    code,
    (source, options) => client.put(source, options),
    () => undefined,
  );
  say(
    `flights: ${(readFileSync(flightsFile).length / 1e6).toFixed(1)} MB of JSON put in the mesh; delays by hour and distance, with bootstrap intervals`,
  );
  const handle = client.submit(spec, { id: 'flights' });
  await follow(fleet, handle);
  const result = await handle.result();
  if (result.phase !== 'done') throw new Error(`the job ${result.phase}: ${result.problem?.message}`);
  const shares = Object.entries(result.tasksByNode).map(([node, tasks]) => `${node} ${plural(tasks, 'task')}`);
  say(`done in ${durationText(result.elapsedMs)}${promisedText(result.promise)}; who did what: ${shares.join(', ')}`);
  return (await client.read(Object.values(result.outputs!)[0]!)) as Row[];
}

/** Shows the job; kills a node when half of it is done. */
async function follow(fleet: DemoFleet, handle: JobHandle): Promise<void> {
  const live = new Live(io.stdout);
  let killed = false;
  for await (const state of handle.states()) {
    const progressed = { state, atMs: Date.now() };
    live.show({
      lines: (columns) => renderJob(progressed, { columns, paint }),
      plain: () => plainJob(progressed),
    });
    const progress = state.stages[0]?.progress ?? 0;
    if (killed || state.phase !== 'running' || progress < 0.5) continue;
    killed = true;
    await fleet.killHard(victim);
    live.keep();
    say(`${victim} killed with SIGKILL at ${Math.round(progress * 100)} %: what it was doing goes to the others`);
  }
  live.keep();
}

function compare(rows: readonly Row[]): void {
  const startedMs = performance.now();
  const flights = JSON.parse(readFileSync(flightsFile, 'utf8')) as Flight[];
  const same = JSON.stringify(computeHere(flights)) === JSON.stringify(rows);
  const took = durationText(performance.now() - startedMs);
  if (!same) throw new Error('the result of the mesh differs from that of a single process');
  say(
    `${flights.length.toLocaleString('en')} flights; equal, to the last digit, to the same computation in this one process (${took} at full speed, without a sandbox)`,
  );
}

const fleet = await DemoFleet.found('ada');
const interrupted = new Promise<never>((_resolve, reject) => {
  io.onInterrupt(() => reject(new Error('interrupted')));
});
try {
  await Promise.race([run(fleet), interrupted]);
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`${(error as Error).message}\n`);
} finally {
  const left = await fleet.stop();
  if (left.length > 0) {
    process.exitCode = 1;
    process.stderr.write(`processes left behind: ${left.join(', ')}\n`);
  } else say('every process ended, nothing left behind');
}
if (process.exitCode === undefined) {
  say('next: node_modules/.bin/foremesh up    then, in another terminal: foremesh submit examples/flights/job.yaml');
}
