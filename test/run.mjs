// `npm test`: what needs the processor beside what waits for processes. `npm test -- --all`: also what takes long, once what is
// drawn and planted is done, which else gets too little of the processor; and then alone what measures what processes use. `npm test -- FILES` runs those files, with whatever else mocha takes.
// Ends with the line `N passed, N failed`.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const root = dirname(import.meta.dirname);
const mocha = join(dirname(createRequire(import.meta.url).resolve('mocha/package.json')), 'bin/mocha.js');
const measured = 'test/integration/measured/**/*.test.ts';
const filesOf = (folders) => folders.map((folder) => `test/${folder}/**/*.test.ts`);
const unitFiles = filesOf(['unit', 'golden', 'house']);
/** Nothing but computing. */
const drawnFiles = filesOf(['property', 'simulation']);
/** They take as long as the others would be waited for. */
const besideFiles = filesOf(['browser', 'integration/engines']);
/** Machines that join over networks of their own: they wait more than they compute. */
const longWaitingFiles = ['test/integration/joining/**/*.test.ts'];
/** With them more than half of the time of all: elections, every line of the documents. */
const longFiles = [
  'test/integration/docs/**/*.test.ts',
  'test/integration/shell/learned-lstm.test.ts',
  'test/integration/shell/retraining.test.ts',
  'test/integration/mesh/identities.test.ts',
  'test/integration/mesh/voters.test.ts',
];
/** Planted bugs. */
const longDrawnFiles = ['test/simulation/mutants.test.ts'];
/** The processor's share goes to whoever waited for something. */
const lowPriority = 10;
const failingLine = /^ *\d+ failing$/;
const summaryLine = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
    process.exitCode = 1;
  });
}

/** Runs one mocha; its output is shown when `shown` resolves. Resolves with what its last line says, and how long it took. */
function run(words, { name, priority = 0, shown = Promise.resolve() } = {}) {
  const begunMs = performance.now();
  const options = process.stdout.isTTY ? ['--color', ...words] : words;
  const child = spawn(process.execPath, [mocha, ...options], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  if (priority !== 0 && child.pid !== undefined) setPriority(child.pid, priority);
  let waiting = [];
  const write = (text) => (waiting === undefined ? process.stdout.write(text) : waiting.push(text));
  shown.then(() => {
    process.stdout.write(waiting.join(''));
    waiting = undefined;
  });
  let lastLine = '';
  let unfinished = '';
  /** From the line on that says how many failed. */
  const failing = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', write);
  child.stdout.on('data', (text) => {
    const lines = (unfinished + text).split('\n');
    unfinished = lines.pop();
    for (const line of lines) {
      if (failing.length > 0 || failingLine.test(stripVTControlCharacters(line))) failing.push(line);
      if (line.trim() !== '') lastLine = line;
    }
  });
  return new Promise((resolve) => {
    child.once('error', (error) => write(`${error.message}\n`));
    child.once('close', (code) => {
      running.delete(child);
      const [passed, failed, skipped] = [1, 2, 3].map((at) => Number(summaryLine.exec(lastLine)?.[at] ?? 0));
      const isWhole = code === 0 || failed > 0;
      if (!isWhole) write(`mocha ended with ${code}, and did not say what failed\n`);
      const seconds = Math.round((performance.now() - begunMs) / 1_000);
      resolve({ name, seconds, passed, failed: isWhole ? failed : failed + 1, skipped, failing });
    });
  });
}

const given = process.argv.slice(2);
const isAll = given[0] === '--all';
const results = [];
if (given.length > 0 && !isAll) results.push(await run(given));
else {
  const left = isAll ? [measured] : [measured, ...longWaitingFiles, ...longFiles, ...longDrawnFiles];
  const without = (globs) => globs.flatMap((glob) => ['--ignore', glob]);
  const elsewhere = [...left, ...longFiles, ...unitFiles, ...drawnFiles, ...besideFiles];
  const processes = run(['test/**/*.test.ts', ...without(elsewhere)], { name: 'processes' });
  const drawn = run([...drawnFiles, ...without(left)], {
    name: 'drawn',
    priority: lowPriority,
    shown: processes,
  });
  const shown = Promise.all([processes, drawn]);
  const units = run([...unitFiles, ...without(left)], { name: 'units', priority: lowPriority, shown });
  const beside = units.then(() =>
    process.exitCode === undefined ? run(besideFiles, { name: 'beside', shown }) : undefined,
  );
  const long = drawn.then(() =>
    isAll && process.exitCode === undefined
      ? run(longFiles, { name: 'long', shown: Promise.all([shown, units, beside]) })
      : undefined,
  );
  results.push(...(await Promise.all([processes, drawn, units, beside, long])));
  if (isAll && process.exitCode === undefined) results.push(await run([measured], { name: 'measured' }));
  if (!isAll)
    process.stdout.write(`\nleft out, for they take long: ${left.join(', ')}; \`npm test -- --all\` runs them too\n`);
}
const total = (key) => results.reduce((sum, each) => sum + (each?.[key] ?? 0), 0);
if (results.length > 1) {
  // What failed is said once more at the end: a record of so many lines is often kept without its middle.
  for (const each of results) for (const line of each?.failing ?? []) process.stdout.write(`${line}\n`);
  const took = results.flatMap((each) => (each === undefined ? [] : [`${each.name} ${each.seconds} s`]));
  process.stdout.write(`\ntook: ${took.join(', ')}\n`);
}
const skips = total('skipped') === 0 ? '' : `, ${total('skipped')} skipped`;
process.stdout.write(`\n${total('passed')} passed, ${total('failed')} failed${skips}\n`);
if (total('failed') > 0) process.exitCode = 1;
