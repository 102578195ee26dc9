import type { MeshClient, Voters } from '../../sdk/index.ts';
import { release } from '../../shell/release.ts';
import { durationText, plural } from '../text.ts';
import type { Findings } from './finding.ts';

/** Clocks that are further apart than this mislead people; beyond the second, certificates and schedules. */
const clockMs = { warning: 2_000, problem: 30_000 };
const namesMost = 8;

/** What the leader knows: whether it answers, its clock, the voters, and the releases of the nodes. */
export async function checkMesh(client: MeshClient, findings: Findings): Promise<void> {
  let voters: Voters;
  try {
    const fromMs = Date.now();
    voters = await client.voters();
    const tookMs = Date.now() - fromMs;
    findings.add('answer', 'ok', `the leader answers after ${durationText(tookMs)}`);
    if (voters.wallMs !== undefined) checkClock(fromMs + tookMs / 2 - voters.wallMs, findings);
  } catch (error) {
    findings.fail('answer', error);
    return;
  }
  checkVoters(voters, findings);
  const { rows } = await client.nodes();
  const online = rows.filter(({ status }) => status.online);
  const others = online.filter(({ status }) => status.release !== release);
  if (others.length === 0)
    findings.add('releases', 'ok', `${plural(online.length, 'node')} and this command: ${release}`);
  else {
    const named = others.slice(0, namesMost).map(({ status }) => `${status.node} ${status.release}`);
    findings.add(
      'releases',
      'warning',
      `this command is ${release}, and there are ${named.join(', ')}${others.length > namesMost ? ' and more' : ''}`,
      'in this release all machines of a mesh should run the same one',
    );
  }
}

function checkClock(differenceMs: number, findings: Findings): void {
  const apart = Math.abs(differenceMs);
  const text = `this clock is ${durationText(apart)} ${differenceMs < 0 ? 'behind' : 'before'} the leader's`;
  const mend = 'set the clocks: `timedatectl set-ntp true` on both machines';
  if (apart > clockMs.problem) findings.add('clock', 'problem', text, mend);
  else if (apart > clockMs.warning) findings.add('clock', 'warning', text, mend);
  else findings.add('clock', 'ok', text);
}

function checkVoters({ voters }: Voters, findings: Findings): void {
  const counted = voters.filter(({ role }) => role === 'leader' || role === 'voter');
  const away = counted.filter(({ awayMs }) => awayMs !== undefined).map(({ node }) => node);
  const spare = Math.ceil(counted.length / 2) - 1 - away.length;
  const is = `${plural(counted.length, 'voter')}${away.length === 0 ? '' : `, away: ${away.join(', ')}`}`;
  if (counted.length === 1) {
    findings.add(
      'voters',
      'warning',
      `${is}: what is accepted is on one disk, and that one fsynced copy counts`,
      'with three nodes that may lead, on machines of their own, the mesh survives the loss of one',
    );
  } else if (spare > 0)
    findings.add('voters', away.length > 0 ? 'warning' : 'ok', `${is}: survives the loss of ${spare} more`);
  else
    findings.add(
      'voters',
      'warning',
      `${is}: the loss of one more stops it`,
      'start those that are away, or let others vote',
    );
}
