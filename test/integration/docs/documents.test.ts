import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { hasCommand, skipWithout } from '../../support/skip.ts';
import { Fleet, freePort } from '../mesh/fleet.ts';
import { type Block, sectionsOf } from './blocks.ts';
import { Workshop } from './workshop.ts';

const folder = join(import.meta.dirname, '../../../docs');
const documents = [
  'tutorial.md',
  'task-authoring.md',
  'sdk.md',
  'contract.md',
  'security.md',
  'operations.md',
  'cookbook.md',
];
/** These start a mesh of their own. */
const ownMesh = ['operations.md', 'cookbook.md'];

/** What the examples use and not every machine has. */
const programs = [
  ['mosquitto_pub', 'mosquitto-clients'],
  ['mosquitto_rr', 'mosquitto-clients'],
  ['jq', 'jq'],
  ['openssl', 'openssl'],
  ['clang', 'clang lld wasi-libc libclang-rt-dev-wasm32'],
] as const;

describe('the examples of the documents', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  let placeholders: Record<string, string>;
  before(async () => {
    fleet = await Fleet.start();
    await fleet.startNode('bob', '--labels', 'camera');
    const { host, port, account, password, mesh } = fleet.connection;
    placeholders = {
      FOREMESH_CONNECTION: fleet.connectionString,
      HOST: host,
      PORT: String(port),
      ACCOUNT: account,
      PASSWORD: password,
      MESH: mesh,
    };
  });
  after(() => fleet?.stop());

  for (const document of documents) {
    describe(`docs/${document}`, () => {
      let workshop: Workshop;
      before(async () => {
        const ports = { PORT: await freePort(), PLAIN_PORT: await freePort(), WEBSOCKET_PORT: await freePort() };
        const own = { HOST: outerAddress(), ...mapped(ports) };
        workshop = ownMesh.includes(document)
          ? await Workshop.open(own)
          : await Workshop.open(placeholders, fleet.home('ada'));
      });
      after(() => workshop?.close());

      const sections = sectionsOf(readFileSync(join(folder, document), 'utf8'));
      const preludes = sections.flatMap(({ blocks }) => textsOf(blocks, 'prelude'));
      for (const { title, blocks } of sections) {
        it(title, async function () {
          const commands = textsOf(blocks, 'run');
          if (commands.length > 0) commands.push(...preludes);
          for (const [program, debianPackage] of programs) {
            if (hasCommand(program) || !commands.some((text) => text.includes(program))) continue;
            // Files are for later sections too.
            for (const block of blocks) if (block.marks.has('file')) await workshop.carryOut(block);
            skipWithout(this, program, debianPackage);
          }
          for (const block of blocks) {
            try {
              await workshop.carryOut(block);
            } catch (error) {
              throw new Error(`docs/${document}:${block.line}: ${(error as Error).message}`, { cause: error });
            }
          }
        });
      }

      it('is TypeScript without type errors', () => workshop.checkTypes());
    });
  }
});

function textsOf(blocks: readonly Block[], mark: string): string[] {
  return blocks.filter(({ marks }) => marks.has(mark)).map(({ text }) => text);
}

/** An address of this machine at which others could reach it: what goes there goes over TLS. */
function outerAddress(): string {
  const found = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outer = found.find(({ family, internal }) => family === 'IPv4' && !internal);
  if (outer === undefined) throw new Error('the examples need a network interface besides loopback');
  return outer.address;
}

function mapped(ports: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)]));
}
