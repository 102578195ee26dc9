import type { Command } from 'commander';
import { limits, type ProfileRow } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { restsText, secondsText } from '../estimates.ts';
import { usageError } from '../report.ts';
import { type Column, renderTable } from '../table.ts';
import { bytesText, plural } from '../text.ts';

const examples = `
The mesh remembers what finished tasks took, per code and engine. WORK is CPU time on a core of a Raspberry Pi 4 for one
task of the INPUT that tasks of this code typically have, and what each further MB costs, where tasks with inputs of
different size have told; in 80 of 100 tasks it lies between FROM and TO. Of code that nobody has seen, its category tells: the job file's \`profile\`.

Examples:
  foremesh profiles
  foremesh profiles 3fa9c1                   code whose name begins so
  foremesh profiles image-processing         a category, or a stage
  foremesh profiles --json | jq '.profiles[] | {code, work: .estimate.workSeconds.q50, basis: .estimate.basis}'
`;

export const profilesCommand: CommandModule = {
  name: 'profiles',
  summary: 'show what tasks take, by what finished ones took: work, memory, output',
  arguments: [['[code]', "the beginning of a code's name, a stage or a category"]],
  register(command: Command, context: CommandContext) {
    command
      .addHelpText('after', examples)
      .action((name: string | undefined) => profiles(new Session(command, context), name));
  },
};

async function profiles(session: Session, name: string | undefined): Promise<void> {
  if (name === '' || (name?.length ?? 0) > limits.identifierCharacters + 'sha256-'.length)
    throw usageError(`"${name}" is no code`, 'name the beginning of its SHA-256, a stage, or a category');
  await session.withMesh(async (client) => {
    const { rows, truncated } = await client.profiles(name);
    if (session.json) return session.printJson({ profiles: rows, truncated });
    const [codes, others] = [
      rows.filter(({ code }) => code !== undefined),
      rows.filter(({ code }) => code === undefined),
    ];
    if (codes.length > 0) session.print(...renderTable(codes, [...codeColumns, ...columns]));
    if (others.length > 0 && codes.length > 0) session.print('', 'code that nobody has seen:');
    if (others.length > 0) session.print(...renderTable(others, [...otherColumns, ...columns]));
    if (rows.length === 0) session.tell(nothing(name));
    if (truncated > 0) session.print(`and ${plural(truncated, 'row')} more`);
  });
}

function nothing(name: string | undefined): string {
  const of = name === undefined ? '' : ` of "${name}"`;
  return `no task${of} of this account has finished yet: what tasks take is learned as they do`;
}

const right = { align: 'right' as const };
const codeColumns: readonly Column<ProfileRow>[] = [
  { title: 'CODE', cell: ({ code }) => code!.slice('sha256-'.length, 'sha256-'.length + 8) },
  { title: 'STAGE', cell: ({ stage }) => stage ?? '' },
  { title: 'CATEGORY', cell: ({ category }) => category ?? '' },
  { title: 'TASKS', ...right, cell: ({ estimate }) => estimate.evidence.tasks.toLocaleString('en') },
];
const otherColumns: readonly Column<ProfileRow>[] = [
  { title: 'CATEGORY', cell: ({ category }) => category ?? '(any)' },
];
const columns: readonly Column<ProfileRow>[] = [
  { title: 'ENGINE', cell: ({ engine }) => engine },
  { title: 'INPUT', ...right, cell: ({ inputBytes }) => bytesText(inputBytes) },
  { title: 'WORK', ...right, cell: ({ estimate: { workSeconds } }) => quantityText(workSeconds?.q50) },
  { title: 'FROM', ...right, cell: ({ estimate: { workSeconds } }) => quantityText(workSeconds?.q10) },
  { title: 'TO', ...right, cell: ({ estimate: { workSeconds } }) => quantityText(workSeconds?.q90) },
  {
    title: 'PER MB',
    ...right,
    // Where inputs did not differ it is what is taken for granted of any code. Leaders of an earlier release do not say.
    cell: ({ estimate: { workSeconds: { perByte, growth = 'seen' } = {} } }) =>
      quantityText(perByte === undefined || growth !== 'seen' ? undefined : perByte * 1e6),
  },
  {
    title: 'MEMORY',
    ...right,
    cell: ({ estimate: { peakMemoryBytes } }) => (peakMemoryBytes === undefined ? '' : bytesText(peakMemoryBytes.q50)),
  },
  {
    title: 'OUTPUT',
    ...right,
    cell: ({ estimate: { outputBytes } }) => (outputBytes === undefined ? '' : bytesText(outputBytes.q50)),
  },
  { title: 'BASIS', cell: ({ estimate }) => restsText(estimate) },
];

function quantityText(seconds: number | undefined): string {
  return seconds === undefined ? '' : secondsText(seconds);
}
