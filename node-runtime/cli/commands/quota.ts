import { type Command, InvalidArgumentError } from 'commander';
import type { QuotaChange, QuotaRow } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { parseSize } from '../preferences.ts';
import { usageError } from '../report.ts';
import { type Column, renderTable } from '../table.ts';
import { bytesText, plural } from '../text.ts';

const examples = `
Jobs are those that have not ended; bytes are those of the blobs that jobs name, ended ones that are kept included;
tasks are those that are at nodes at the same time. A job that passes a quota is refused, a task waits. Without an
account it is about your own. Other accounts are for an owner of the mesh; nothing that one has is taken away.

Examples:
  foremesh quota                              what you have, and how much you may have
  foremesh quota --all                        every account
  foremesh quota ann --jobs 20 --bytes 2GB    ann may have so much
  foremesh quota ann --tasks 8                at most eight of ann's tasks run at once
  foremesh quota ann --jobs 0                 ann can submit nothing
  foremesh quota ann --jobs default           as many as every account
  foremesh quota --all --json | jq '.quotas[] | select(.jobs.isOwn)'
`;

/** What an option says: a number, or null to go back to what every account has (`default`: commander takes null for nothing). */
type Wanted = number | 'default';

interface QuotaOptions {
  readonly all?: boolean;
  readonly jobs?: Wanted;
  readonly bytes?: Wanted;
  readonly tasks?: Wanted;
}

/** `foremesh quota`: what accounts have, and how much they may. */
export const quotaCommand: CommandModule = {
  name: 'quota',
  summary: 'show what an account has and may have, and set it',
  register(command: Command, context: CommandContext) {
    command
      .argument('[account]', 'whose: yours unless said')
      .option('--all', 'every account')
      .option('--jobs <count>', 'how many jobs may be open', orDefault(parseCount))
      .option('--bytes <size>', 'how much its blobs may be together: 500MB, 2GB', orDefault(parseSize))
      .option('--tasks <count>', 'how many of its tasks may be at nodes at once', orDefault(parseCount))
      .addHelpText('after', examples)
      .action((account: string | undefined, options: QuotaOptions, self: Command) =>
        quota(new Session(self, context), account, options),
      );
  },
};

async function quota(session: Session, account: string | undefined, options: QuotaOptions): Promise<void> {
  const { all = false, jobs, bytes, tasks } = options;
  const change: QuotaChange = {
    ...wantedOf('jobs', jobs),
    ...wantedOf('storedBytes', bytes),
    ...wantedOf('tasksAtOnce', tasks),
  };
  const changes = Object.keys(change).length > 0;
  if (all && (account !== undefined || changes)) throw usageError('--all stands alone', 'foremesh quota --all');
  if (changes && account === undefined) throw usageError('whose quota?', 'foremesh quota ACCOUNT --jobs N');
  await session.withMesh(async (client) => {
    if (all) {
      const { rows, truncated } = await client.quotas();
      if (session.json) return session.printJson({ quotas: rows, truncated });
      session.print(...renderTable([...rows].sort(byAccount), columns));
      if (truncated > 0) session.tell(`and ${plural(truncated, 'more account')}`);
      return;
    }
    const isNew = account !== undefined && changes && isUnheard(await client.setQuota(account, {}));
    const row = account === undefined ? await client.quota() : await client.setQuota(account, change);
    if (session.json) session.printJson(row);
    else session.print(...renderTable([row], columns));
    if (isNew)
      session.tell(
        `nothing is known of an account "${account}" here: \`foremesh accounts list\` on the hub has the names`,
      );
  });
}

/** It has nothing, and nobody has said anything of it: perhaps the name is wrong. */
function isUnheard({ jobs, storedBytes, tasksAtOnce }: QuotaRow): boolean {
  return [jobs, storedBytes, tasksAtOnce].every(({ used, isOwn }) => used === 0 && !isOwn);
}

function wantedOf(name: keyof QuotaChange, wanted: Wanted | undefined): QuotaChange {
  return wanted === undefined ? {} : { [name]: wanted === 'default' ? null : wanted };
}

function orDefault(parse: (text: string) => number): (text: string) => Wanted {
  return (text) => (text === 'default' ? text : parse(text));
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count))
    throw new InvalidArgumentError('give a whole number, 0 or more; or "default".');
  return count;
}

function byAccount(a: QuotaRow, b: QuotaRow): number {
  return a.account < b.account ? -1 : 1;
}

function column(title: string, name: keyof QuotaChange, show: (count: number) => string): Column<QuotaRow> {
  return {
    title,
    align: 'right',
    cell: (row) => {
      const { used, most, isOwn } = row[name];
      return `${show(used)} of ${show(most)}${isOwn ? '*' : ' '}`;
    },
  };
}

const columns: readonly Column<QuotaRow>[] = [
  { title: 'ACCOUNT', cell: ({ account }) => account },
  column('JOBS', 'jobs', String),
  column('BYTES', 'storedBytes', bytesText),
  column('TASKS', 'tasksAtOnce', String),
];
