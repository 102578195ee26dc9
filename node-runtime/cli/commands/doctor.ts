import type { Command } from 'commander';
import { readKey } from '../../shell/identity.ts';
import { ownOf, placeOf, readMembership } from '../../shell/joining/membership.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { type Finding, Findings } from '../doctor/finding.ts';
import { checkCertificate, checkHome, checkPort } from '../doctor/machine.ts';
import type { Way } from '../doctor/reach.ts';
import { ExitWith } from '../exit-codes.ts';
import { plural, printable } from '../text.ts';

const examples = `
Looks at this machine, at the way to the broker, and at the mesh, and says what to do about what is wrong. It changes
nothing; to measure an fsync it writes a file of 32 KiB in the home, and removes it.

Examples:
  foremesh doctor
  foremesh doctor --json | jq -r '.findings[] | select(.verdict == "problem") | .mend'

Exit code 1 when there is a problem; warnings do not count.
`;

export const doctorCommand: CommandModule = {
  name: 'doctor',
  summary: 'look for what is wrong here, on the way to the broker and in the mesh, and say the mend',
  register(command: Command, context: CommandContext) {
    command.addHelpText('after', examples).action(() => doctor(new Session(command, context)));
  },
};

const tones = { ok: 'good', warning: 'busy', problem: 'bad' } as const;

async function doctor(session: Session): Promise<void> {
  const paint = session.paintOut;
  const show = ({ check, verdict, text, mend }: Finding) => {
    if (session.json) return;
    session.print(`${paint(tones[verdict], verdict.padEnd(7))}  ${check.padEnd(11)}  ${printable(text)}`);
    if (mend !== undefined) session.print(`${' '.repeat(22)}-> ${printable(mend)}`);
  };
  const findings = new Findings(show);
  await checkHome(session.home, findings);
  const way = await wayOf(session, findings);
  if (way !== undefined) {
    // Loaded here, so that `--help` costs no MQTT.
    const [{ checkWay }, { checkMesh }] = await Promise.all([
      import('../doctor/reach.ts'),
      import('../doctor/mesh.ts'),
    ]);
    const isReached = await checkWay(way, findings);
    await checkPort(session.home, way.place, isReached, findings);
    if (isReached && 'username' in way.login) await session.withMesh((client) => checkMesh(client, findings));
  }
  const count = (verdict: Finding['verdict']) => findings.all.filter((each) => each.verdict === verdict).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  if (session.json) session.printJson({ findings: findings.all, problems, warnings });
  else session.print('', `${plural(problems, 'problem')}, ${plural(warnings, 'warning')}`);
  if (problems > 0) throw new ExitWith('failed');
}

/** With an account where there is one, else as the node that joined from here. */
async function wayOf(session: Session, findings: Findings): Promise<Way | undefined> {
  try {
    const membership = await readMembership(session.home);
    const hasAccount = membership === undefined || (await session.hasConnection());
    if (hasAccount) {
      const connection = await session.connection();
      const { account: username, password } = connection;
      return { place: connection, login: { username, password }, name: username };
    }
    const key = await readKey(session.home.keyFile);
    if (key === undefined) throw new Error(`${session.home.keyFile} is missing`);
    const { node } = membership;
    checkCertificate(membership.certificate, findings);
    return { place: placeOf(membership), login: { own: ownOf(membership, { ...key, node }) }, name: node };
  } catch (error) {
    findings.fail('connection', error);
    return undefined;
  }
}
