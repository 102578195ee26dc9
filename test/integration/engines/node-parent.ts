/** A runtime with a task of engine `node` in it that never ends: says which processes that is, and waits to be killed. */
import { NodePool } from '../../../node-runtime/engines/node/node-pool.ts';

const entry = { path: process.argv[2]!, nodeArguments: [] };
const code = `import { spawn } from 'node:child_process';
export default async () => { spawn('sleep', ['1000'], { detached: true }); console.log('ready'); for (;;); }`;
const pool = new NodePool(
  { queue: 1, freeSlots: () => 1 - pool.running, entry },
  {
    started: () => undefined,
    progress: () => undefined,
    log: () => process.stdout.write(`${JSON.stringify({ processIds: pool.load().processIds })}\n`),
    ended: (_attempt, outcome) => process.stdout.write(`${JSON.stringify(outcome)}\n`),
  },
);
pool.run({
  attempt: 'endless',
  job: 'account/job',
  engine: 'node',
  codeHash: 'endless',
  code: Buffer.from(code),
  input: { kind: 'none' },
  limits: { memoryBytes: 64 * 1024 ** 2, cpuMs: 1e9, wallMs: 1e9, outputBytes: 1e6 },
});
