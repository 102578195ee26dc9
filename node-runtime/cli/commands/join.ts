import { availableParallelism, totalmem } from 'node:os';
import type { Command } from 'commander';
import { addressText, parseInvitation } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { bytesText, foundByMdns, plural } from '../text.ts';

const help = `
Every step is checked, and what is wrong is said within 30 seconds: the broker's name, its address and port, TLS and
the mesh's CA, the invitation, this machine's clock, its identity. When none of the addresses in the invitation answers,
the mesh is looked for in the local network by mDNS, and known by its CA. To join again does no harm: a certificate that is
good stays, and the invitation is not used.

Examples:
  $ foremesh join 'foremesh://192.168.1.10:8883/mesh-1a2b3c4d?...'       with what foremesh invite printed
  $ foremesh join "$(cat invitation)" --name camera-1                     under a name of your choice
  $ foremesh join "$(cat invitation)" --json`;

/** `foremesh join`: makes this device a node of the mesh. */
export const joinCommand: CommandModule = {
  name: 'join',
  summary: 'make this device a node, with an invitation',
  arguments: [['invitation', 'the string that `foremesh invite` printed']],
  register(command: Command, context: CommandContext) {
    command
      .option('--name <id>', 'id of this node (after the host)')
      .addHelpText('after', help)
      .action((text: string, options: { name?: string }) => runJoin(text, options.name, new Session(command, context)));
  },
};

async function runJoin(text: string, name: string | undefined, session: Session): Promise<void> {
  const invitation = parseInvitation(text);
  const [{ joinMesh }, { offerOf }] = await Promise.all([
    import('../../shell/joining/join.ts'),
    import('../../shell/offer.ts'),
  ]);
  // One line, that grows: what is there when an error comes says how far it got.
  let line = '';
  const step = (what: string) => {
    if (session.json) return;
    session.io.stdout.write(`${line === '' ? '' : '  '}* ${what}`);
    line += what;
  };
  const endLine = () => {
    if (line !== '') session.io.stdout.write('\n');
  };
  let isFound = false;
  const joining = joinMesh({
    home: session.home,
    invitation,
    ...(name === undefined ? {} : { name }),
    onReached: () => step('reached'),
    onTrusted: () => step('CA matches'),
    onFound: (places) => {
      isFound = true;
      session.tell(foundByMdns(places));
    },
  });
  const { membership, isNew } = await joining.catch((error: unknown) => {
    endLine();
    throw error;
  });
  const { node, mesh, endsAtMs, mayLead, addresses } = membership;
  const foundAt = isFound ? { foundAt: addressText(addresses[0]!) } : {};
  if (session.json) return session.printJson({ node, mesh, isNew, mayLead, certificateEndsAtMs: endsAtMs, ...foundAt });
  const { cores, share, offeredMemoryBytes } = offerOf({ cores: availableParallelism(), memoryBytes: totalmem() }, {});
  const offer = `offers ${plural(Math.max(1, Math.floor(cores * share)), 'core')}, ${bytesText(offeredMemoryBytes)}`;
  const ends = new Date(endsAtMs).toISOString().slice(0, 10);
  step(isNew ? `${node} joined; ${offer}` : `${node} had joined; its certificate is good until ${ends}`);
  session.print(
    `    start: foremesh node   change: foremesh share 25%   undo: foremesh nodes remove ${node} (on the hub)`,
  );
}
