import { type Command, Option } from 'commander';
import { bytesOf, checkIdentifier, type PlanAlgorithm, type PlanAnswer, planAlgorithm } from '../../contract/index.ts';
import { nameOfSource } from '../../data/index.ts';
import { saveFile } from '../../data/local-files.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { ExitWith, exitCodeOf } from '../exit-codes.ts';
import { fillSpec } from '../job-payload.ts';
import { ganttOf } from '../plan/gantt.ts';
import { closingLines, promiseText, stageLines } from '../plan/summary.ts';
import { planSvgOf } from '../plan/svg.ts';
import { usageError } from '../report.ts';
import { signSpec } from '../sign-code.ts';
import { addJobOptions, readJob, type SubmitOptions } from '../submit-job.ts';
import { plural } from '../text.ts';

const examples = `
Nothing is submitted and nothing uploaded: the node that leads is asked how the job would go now, by what its code took before
(or by the \`estimate\` of its stages), by what each node is expected to have to spare, and by what was promised to others.
The letters of the chart are tasks; its times, FROM and TO are those if each task takes what it does in the middle. When all is
done is told by many futures, in which it takes longer or shorter: half of them are over by the 50 %. The last line is a promise:
so likely it is done by then. How stages will be cut is not known before their records are counted: then \`about\` stands before
their tasks.

What it costs, and a job weighs, is counted in seconds: makespan, until the last task ends, on average; contention, in which tasks
want what the devices need themselves; transfer, in which what tasks read is on its way; risk, work that is done twice because
nodes leave.

Examples:
  foremesh plan                                   the job.yaml of this folder
  foremesh plan blur --input 'photos/*.jpg'
  foremesh plan job.yaml --svg plan.svg           the same as a picture
  foremesh plan job.yaml --algorithm heft         by another algorithm
  foremesh plan --id flights-7k2m9q               what is left of a job that runs
  foremesh plan job.yaml --json | jq .plan.finish

Exit code 2 when a stage fits no node (MESH_NO_ROOM) or nobody knows what it takes (MESH_WORK_UNKNOWN).
`;

interface Options extends Pick<SubmitOptions, 'input' | 'param'> {
  readonly id?: string;
  readonly algorithm?: PlanAlgorithm;
  readonly svg?: string;
}

export const planCommand: CommandModule = {
  name: 'plan',
  summary: 'show how a job would go on the mesh: which task where and when, and when it is done',
  arguments: [['[job]', 'job file, or the folder of a job.yaml; this folder unless said']],
  register(command: Command, context: CommandContext) {
    addJobOptions(command)
      .option('--id <id>', 'of a job of the mesh, in place of a file: how what is left of it will go')
      .addOption(new Option('--algorithm <name>', 'plan by this one').choices(planAlgorithm.options))
      .option('--svg <file>', 'draw it into this file')
      .addHelpText('after', examples)
      .action((what: string | undefined, options: Options) => showPlan(new Session(command, context), what, options));
  },
};

async function showPlan(session: Session, what: string | undefined, options: Options): Promise<void> {
  const { id, svg, algorithm } = options;
  if (id !== undefined && (what !== undefined || options.input.length + options.param.length > 0))
    throw usageError('--id names a job of the mesh: it has its file, input and parameters', 'leave one of the two out');
  if (id !== undefined) checkIdentifier(id, '--id');
  const wanted = id ?? (await specOf(session, what ?? '.', options));
  const plan = await session.withMesh((client) => client.plan(wanted, algorithm));
  const name = id ?? (typeof wanted === 'string' ? wanted : (wanted.name ?? what ?? 'job'));
  const tasks = plan.stages.reduce((sum, stage) => sum + stage.tasks + (stage.merges ? 1 : 0), 0);
  const heading = `${name}: ${plural(plan.stages.length, 'stage')}, ${plural(tasks, 'task')}, ${plural(plan.nodes.length, 'node')}`;
  const nowMs = Date.now();
  if (svg !== undefined) {
    const promise = promiseText(plan, nowMs);
    await saveFile(once(planSvgOf(promise === undefined ? heading : `${heading}; ${promise}`, plan)), svg);
  }
  if (session.json) session.printJson({ name, plan, ...(svg === undefined ? {} : { svg }) });
  else print(session, heading, plan, nowMs);
  if (svg !== undefined) session.tell(`${svg}: ${plural(plan.tasks.length, 'task')} drawn`);
  const stopping = plan.stages.find(({ problem }) => problem !== undefined)?.problem;
  if (stopping !== undefined) throw ExitWith.code(exitCodeOf(stopping.code));
}

function print(session: Session, heading: string, plan: PlanAnswer, nowMs: number): void {
  const gantt = ganttOf(plan, session.io.stdout.columns, session.paintOut);
  session.print(heading, ...stageLines(plan));
  if (gantt.length > 0) session.print('', ...gantt, '');
  if (plan.truncated > 0) session.print(`  ${plural(plan.truncated, 'task')} more are not shown`);
  session.print(...closingLines(plan, nowMs, session.paintOut));
}

/** The spec as it would be published; what would be uploaded is only named. */
async function specOf(session: Session, what: string, options: Options) {
  const { job, keys, bundled } = await readJob(session, what, options);
  return signSpec(job, await fillSpec(job, bundled, nameOfSource, () => undefined), keys);
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield bytesOf(text);
}
