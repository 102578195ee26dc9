import { Argument, type Command, InvalidArgumentError } from 'commander';
import { limits, type VoterRow, type VoterSettingsAsk } from '../../contract/index.ts';
import type { Voters } from '../../sdk/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { parseDuration } from '../durations.ts';
import { type Column, renderTable } from '../table.ts';
import { durationText, plural } from '../text.ts';

const examples = `
The voters keep the log of the mesh: jobs, cuts, results. The mesh goes on while more than half of them
are there: 1 voter survives the loss of none, 3 of any one, 5 of any two.

Examples:
  foremesh voters                             who votes
  foremesh voters 3                           three of the nodes shall vote
  foremesh voters auto                        1, 3 or 5, as many as there are nodes for
  foremesh voters --replace-after 2m          a voter that stays away longer loses its seat
  foremesh voters --json | jq '.voters[].node'
`;

export const votersCommand: CommandModule = {
  name: 'voters',
  summary: 'show who votes and leads, and say how many shall',
  register(command: Command, context: CommandContext) {
    command
      .addArgument(new Argument('[count]', 'how many nodes shall vote').choices(['1', '3', '5', 'auto']))
      .option('--settle <time>', 'how long a node must have been there before it votes: 30s, 5m', parsePatience)
      .option('--replace-after <time>', 'how long a voter may stay away before it loses its seat: 5m', parsePatience)
      .addHelpText('after', examples)
      .action((count: string | undefined, options: { settle?: number; replaceAfter?: number }) =>
        voters(new Session(command, context), wantedOf(count, options)),
      );
  },
};

function wantedOf(count: string | undefined, { settle, replaceAfter }: { settle?: number; replaceAfter?: number }) {
  return {
    ...(count === undefined ? {} : { count: count === 'auto' ? 'auto' : (Number(count) as 1 | 3 | 5) }),
    ...(settle === undefined ? {} : { settleMs: settle }),
    ...(replaceAfter === undefined ? {} : { replaceAfterMs: replaceAfter }),
  } satisfies VoterSettingsAsk;
}

async function voters(session: Session, wanted: VoterSettingsAsk): Promise<void> {
  await session.withMesh(async (client) => {
    const there = Object.keys(wanted).length === 0 ? await client.voters() : await client.setVoters(wanted);
    if (session.json) return session.printJson(there);
    session.print(...renderTable([...there.voters].sort(byName), columns), '', ...remarks(there));
  });
}

function byName(a: VoterRow, b: VoterRow): number {
  return a.node < b.node ? -1 : 1;
}

function remarks({ voters: rows, settings, candidates }: Voters): string[] {
  const counted = rows.filter(({ role }) => role === 'leader' || role === 'voter');
  const away = counted.filter(({ awayMs }) => awayMs !== undefined).length;
  const spare = Math.ceil(counted.length / 2) - 1 - away;
  const survives =
    spare > 0
      ? `the mesh survives the loss of ${plural(spare, 'more of them', 'more of them')}`
      : 'the loss of one more stops it';
  const { count, settleMs, replaceAfterMs } = settings;
  const lines = [`${plural(counted.length, 'voter')}${away === 0 ? '' : `, ${away} away`}: ${survives}`];
  if (count === 'auto') lines.push('wanted: as many as there are nodes for, 1, 3 or 5');
  else lines.push(`wanted: ${count}`);
  lines.push(
    `a node votes after ${durationText(settleMs)}, and is replaced after ${durationText(replaceAfterMs)} away`,
  );
  if (candidates.length > 0) lines.push(`could vote too: ${candidates.slice(0, 8).join(' ')}`);
  else if (counted.length < 3) lines.push('no other node could vote: foremesh node --join starts one');
  return lines;
}

function parsePatience(text: string): number {
  const ms = parseDuration(text);
  // The leader would pass over the question without a word.
  if (ms > limits.voterPatienceMs) throw new InvalidArgumentError(`at most ${durationText(limits.voterPatienceMs)}.`);
  return ms;
}

const columns: readonly Column<VoterRow>[] = [
  { title: 'NODE', cell: ({ node }) => node },
  { title: 'ROLE', cell: ({ role }) => role },
  { title: 'STATE', cell: ({ awayMs }) => (awayMs === undefined ? 'answers' : `away ${durationText(awayMs)}`) },
  { title: 'BEHIND', align: 'right', cell: ({ behind }) => (behind === 0 ? '' : plural(behind, 'entry', 'entries')) },
];
