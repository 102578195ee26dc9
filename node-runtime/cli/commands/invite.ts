import { type Command, InvalidArgumentError } from 'commander';
import { type Address, addressText, type Invitation, MeshError } from '../../contract/index.ts';
import { type CommandModule, Session } from '../context.ts';
import { parseDuration } from '../durations.ts';
import { installCommand, loadOptional } from '../extensions.ts';
import { durationText, plural } from '../text.ts';

interface InviteOptions {
  readonly ttl: number;
  readonly uses: number;
  readonly lead: boolean;
}

/** What the broker's package makes: the CA is on its machine. */
type InviteDevice = (
  home: string,
  wish: { readonly ttlMs: number; readonly uses: number; readonly mayLead: boolean },
) => Promise<{
  readonly text: string;
  readonly invitation: Invitation;
  readonly qrLines: readonly string[];
  readonly endsAtMs: number;
  readonly isRunning: boolean;
  readonly runtimeHash?: string;
}>;

const help = `
The string holds addresses of the broker, the fingerprint of the mesh's CA and a secret: bring it to the device
on a way that you trust. The broker keeps the secret's hash alone.

Examples:
  $ foremesh invite                            one device, within ten minutes
  $ foremesh invite --ttl 1h --uses 20         twenty devices, within an hour
  $ foremesh invite --no-lead                  a device that shall work and never lead
  $ foremesh invite --json | jq -r .invitation the string, for a script`;

/** `foremesh invite`: lets a device in, on the broker's machine. */
export const inviteCommand: CommandModule = {
  name: 'invite',
  summary: 'let a device join: one string, for one device and ten minutes unless said',
  register(command, context) {
    command
      .option('--ttl <time>', 'how long it is good: 30s, 10m, 2h', parseDuration, 600_000)
      .option('--uses <number>', 'how many devices may use it', parseUses, 1)
      .option('--no-lead', 'whoever joins by it never leads the mesh')
      .addHelpText('after', help)
      .action((options: InviteOptions, self: Command) => runInvite(options, new Session(self, context)));
  },
};

async function runInvite(options: InviteOptions, session: Session): Promise<void> {
  const broker = await loadOptional('@foremesh/broker/commands');
  if (broker === undefined) {
    throw new MeshError(
      'MESH_NOT_INSTALLED',
      "invitations are made on the broker's machine, and no broker is installed here",
      {
        mend: `run it there; or: ${installCommand('@foremesh/broker')}`,
      },
    );
  }
  const wish = { ttlMs: options.ttl, uses: options.uses, mayLead: options.lead };
  const invited = await (broker.inviteDevice as InviteDevice)(session.home.directory, wish);
  const { text, invitation, qrLines, endsAtMs, isRunning, runtimeHash } = invited;
  const fetch = runtimeHash === undefined ? undefined : fetchLine(invitation, runtimeHash);
  if (session.json) {
    const more = { id: invitation.token.id, uses: options.uses, mayLead: options.lead, isRunning };
    session.printJson({ invitation: text, endsAtMs, ...more, ...(fetch === undefined ? {} : { fetch }) });
    return;
  }
  const who = plural(options.uses, 'device');
  session.print(
    text,
    '',
    ...qrLines,
    '',
    `for ${who}, for ${durationText(options.ttl)} (until ${new Date(endsAtMs).toLocaleTimeString('en-GB')})`,
    `on the device:      foremesh join '${text}'`,
    ...(fetch === undefined ? [] : [`first, if need be:  ${fetch}`]),
  );
  if (!isRunning) session.tell('the broker does not run now: nobody can join before `foremesh up` has started it');
}

/** What brings the runtime to a device that has Node alone. curl does not know the CA: the hash, which came from here, does. */
function fetchLine(at: Address, hash: string): string {
  const fetch = `curl -fsSk https://${addressText(at)}/runtime.tgz -o foremesh.tgz`;
  return `${fetch} && echo '${hash}  foremesh.tgz' | sha256sum -c && sudo npm install --global ./foremesh.tgz`;
}

function parseUses(text: string): number {
  const uses = Number(text);
  if (!Number.isInteger(uses) || uses < 1) throw new InvalidArgumentError('it is a whole number from 1.');
  return uses;
}
