import { MeshError } from '@foremesh/node-runtime/contract';
import type { Hunted } from './mutants/hunt.ts';
import { ProgressBar } from './progress-bar.ts';
import { runScenario } from './run.ts';
import { readScenario } from './scenario/read-scenario.ts';
import { type Scenario, scenarioOf } from './scenario/scenario.ts';
import { fuzzSchedules } from './schedules/fuzz.ts';
import { type Found, fuzz } from './search/fuzz.ts';
import { shrink } from './search/shrink.ts';
import { replayCommand, tellStory } from './search/story.ts';

/** What this package uses of commander's `Command`, which the `foremesh` command brings. */
export interface CommandLike {
  command(name: string): CommandLike;
  description(text: string): this;
  option(flags: string, description: string, fallback?: string): this;
  action(run: (options: Record<string, unknown>, command: CommandLike) => Promise<void>): this;
  optsWithGlobals(): Record<string, unknown>;
}

interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Where a command prints. */
interface Screens {
  readonly stdout: Screen;
  readonly stderr: Screen;
}

/** One command of `foremesh`, found at run time. */
export interface CommandModule {
  readonly name: string;
  readonly summary: string;
  register(command: CommandLike, context: { readonly io: Screens }): void;
}

/** A mutant must be found within this many seeds. */
const seedsPerMutant = 500;
const msPerMutant = 120_000;

const sim: CommandModule = {
  name: 'sim',
  summary: 'run the core under a virtual clock, with faults from a seed',
  register(command, { io }) {
    command
      .command('fuzz')
      .description('run seed after seed, and show what breaks')
      .option('--seeds <number>', 'how many seeds', '1000')
      .option('--from <seed>', 'the first of them', '1')
      .option('--minutes <number>', 'stop after this long, whatever is left')
      .option(
        '--mutants',
        `then show that bugs are found: each of them within ${seedsPerMutant} seeds; needs a source tree`,
      )
      .option('--json', 'end with one JSON line')
      .action((_, fuzzing) => runFuzz(fuzzing.optsWithGlobals(), io));
    command
      .command('schedules')
      .description('run weeks of schedules: leaders come and go, clocks jump')
      .option('--seeds <number>', 'how many seeds', '25')
      .option('--from <seed>', 'the first of them', '1')
      .option('--occurrences <number>', 'how many occurrences each', '1000')
      .option('--json', 'end with one JSON line')
      .action((_, running) => runSchedules(running.optsWithGlobals(), io));
    command
      .command('run')
      .description('run one seed again')
      .option('--seed <number>', 'the seed', '1')
      .option('--scenario <json>', 'a scenario that was made smaller, as `fuzz` prints it')
      .option('--trace', 'print all that happens')
      .option('--shrink', 'when it fails, look for a smaller run that fails too')
      .option('--json', 'end with one JSON line')
      .action((_, running) => runOne(running.optsWithGlobals(), io));
  },
};

export const commands: readonly CommandModule[] = [sim];

async function runFuzz(options: Record<string, unknown>, { stdout, stderr }: Screens): Promise<void> {
  const seeds = wholeNumber(options, 'seeds');
  const fromSeed = wholeNumber(options, 'from');
  const untilMs =
    options.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + minutes(options) * 60_000;
  const bar = new ProgressBar(stderr);
  const result = fuzz({
    fromSeed,
    seeds,
    goOn: () => performance.now() < untilMs,
    onSeed: (done, found) => bar.show(done / seeds, `${done} seeds, ${found.length} violations`),
  });
  bar.clear();
  const first = result.found[0];
  if (first !== undefined) explain(result.found, scenarioOf(first.seed), stderr);
  const hunted = options.mutants === true ? await huntAll(bar, untilMs, fromSeed) : [];
  const missed = hunted.filter(({ found }) => found === undefined);
  const summary = {
    seeds: result.seeds,
    violations: result.found.length,
    ...(options.mutants === true ? { mutants: { found: hunted.length - missed.length, total: hunted.length } } : {}),
  };
  if (options.json === true) stdout.write(`${JSON.stringify(summary)}\n`);
  else {
    stdout.write(`* ${summary.seeds} seeds, ${summary.violations} violations\n`);
    for (const { mutant, found, seeds: tried } of hunted) {
      const what = found === undefined ? `missed in ${tried} seeds` : `found by ${found.checker}, seed ${found.seed}`;
      stdout.write(`* mutant "${mutant}": ${what}\n`);
    }
    if (hunted.length > 0) stdout.write(`* ${hunted.length - missed.length} of ${hunted.length} mutants found\n`);
  }
  if (result.found.length === 0 && missed.length === 0) return;
  throw new MeshError('MESH_SIMULATION_FAILED', `${summary.violations} violations, ${missed.length} mutants missed`, {
    ...(first === undefined ? {} : { mend: `see it again: foremesh sim run --seed ${first.seed}` }),
  });
}

function runSchedules(options: Record<string, unknown>, { stdout, stderr }: Screens): Promise<void> {
  const seeds = wholeNumber(options, 'seeds');
  const occurrences = wholeNumber(options, 'occurrences');
  const bar = new ProgressBar(stderr);
  const result = fuzzSchedules(
    {
      fromSeed: wholeNumber(options, 'from'),
      seeds,
      goOn: () => true,
      onSeed: (done, found) => bar.show(done / seeds, `${done} schedules, ${found.length} violations`),
    },
    occurrences,
  );
  bar.clear();
  const { found, ...counts } = result;
  for (const { seed, checker, message } of found)
    stderr.write(
      `seed ${seed} breaks ${checker}: ${message}: foremesh sim schedules --from ${seed} --seeds 1 --occurrences ${occurrences}\n`,
    );
  const { started, skipped, changes, jumps, days } = counts;
  if (options.json === true) stdout.write(`${JSON.stringify({ ...counts, violations: found.length })}\n`);
  else
    stdout.write(
      `* ${counts.seeds} schedules over ${days} days: ${started} occurrences started, ${skipped} left out, ${changes} leaders, ${jumps} jumps of clocks, ${found.length} violations\n`,
    );
  if (found.length === 0) return Promise.resolve();
  return Promise.reject(new MeshError('MESH_SIMULATION_FAILED', `${found.length} violations`));
}

function explain(found: readonly Found[], scenario: Scenario, stderr: Screen): void {
  for (const { seed, checker } of found)
    stderr.write(`seed ${seed} breaks ${checker}: foremesh sim run --seed ${seed}\n`);
  const small = shrink(scenario)?.scenario ?? scenario;
  stderr.write(`\nSeed ${scenario.seed}, made smaller:\n${tellStory(small)}\n`);
}

async function huntAll(bar: ProgressBar, untilMs: number, fromSeed: number): Promise<Hunted[]> {
  const [{ mutants }, { hunt }] = await Promise.all([import('./mutants/index.ts'), import('./mutants/hunt.ts')]);
  const hunted: Hunted[] = [];
  for (const mutant of mutants) {
    bar.show(hunted.length / mutants.length, `mutant "${mutant.name}"`);
    const msMost = Math.min(msPerMutant, Math.max(0, untilMs - performance.now()));
    // A mutant for which there was no time has not been found.
    if (msMost === 0) hunted.push({ mutant: mutant.name, found: undefined, seeds: 0 });
    else hunted.push(await hunt(mutant, { fromSeed, seeds: seedsPerMutant, msMost }));
  }
  bar.clear();
  return hunted;
}

async function runOne(options: Record<string, unknown>, { stdout }: Screens): Promise<void> {
  const scenario =
    options.scenario === undefined ? scenarioOf(wholeNumber(options, 'seed')) : readScenario(String(options.scenario));
  const result = runScenario(scenario, { trace: options.trace === true });
  const { violation, trace, traceHash, steps, virtualMs, terms, moves } = result;
  const isRight = violation === undefined;
  const small = isRight || options.shrink !== true ? scenario : (shrink(scenario)?.scenario ?? scenario);
  if (options.json === true) {
    const said = isRight
      ? {}
      : { violation: { checker: violation.checker, message: violation.message }, scenario: small };
    const all = options.trace === true ? { trace } : {};
    stdout.write(
      `${JSON.stringify({ seed: scenario.seed, steps, virtualMs, terms, moves, traceHash, ...said, ...all })}\n`,
    );
  } else {
    if (options.trace === true) stdout.write(`${trace.join('\n')}\n`);
    stdout.write(
      `* ${steps} steps, ${(virtualMs / 1_000).toFixed(1)} s of virtual time, trace ${traceHash.slice(0, 16)}\n`,
    );
    stdout.write(isRight ? '* nothing is wrong\n' : `${tellStory(small)}\n`);
    if (small !== scenario) stdout.write(`* before it was made smaller: ${replayCommand(scenario)}\n`);
  }
  if (isRight) return;
  throw new MeshError('MESH_SIMULATION_FAILED', `${violation.checker}: ${violation.message}`);
}

function wholeNumber(options: Record<string, unknown>, name: string): number {
  const text = String(options[name]);
  if (!/^\d{1,9}$/.test(text)) throw new MeshError('MESH_USAGE', `--${name} takes a whole number, not "${text}"`);
  return Number(text);
}

function minutes(options: Record<string, unknown>): number {
  const text = String(options.minutes);
  if (!/^\d+(\.\d+)?$/.test(text)) throw new MeshError('MESH_USAGE', `--minutes takes a number, not "${text}"`);
  return Number(text);
}
