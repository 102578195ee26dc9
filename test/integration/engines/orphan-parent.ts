// Runs one task in a pool and prints the process id of the sandbox when the task has begun (or, if it ends, has ended).
import { SandboxPool } from '../../../node-runtime/engines/index.ts';

const { entry, code } = JSON.parse(process.argv[2]!);
const ends = !code.includes('for');
const tell = () => console.log(pool.load().processIds[0]);
const pool = new SandboxPool(
  { slots: 1, entry },
  {
    started: () => (ends ? undefined : tell()),
    progress: () => undefined,
    log: () => undefined,
    ended: () => tell(),
  },
);
pool.run({
  attempt: 'a',
  job: 'account/job',
  engine: 'js',
  codeHash: 'code',
  code: Buffer.from(code),
  input: { kind: 'none' },
  limits: { memoryBytes: 32 * 1024 ** 2, cpuMs: 600_000, wallMs: 600_000, outputBytes: 1000 },
});
