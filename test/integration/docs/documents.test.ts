import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { skipWithout } from '../../support/skip.ts';
import { Fleet, freePort } from '../mesh/fleet.ts';
import { sectionsOf } from './blocks.ts';
import { Workshop } from './workshop.ts';

const folder = join(import.meta.dirname, '../../../docs');
const documents = ['task-authoring.md', 'contract.md', 'security.md', 'operations.md'];
/** Starts a mesh of its own. */
const operations = 'operations.md';

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
        const own = { HOST: '127.0.0.1', PORT: String(await freePort()), WEBSOCKET_PORT: String(await freePort()) };
        workshop = await Workshop.open(document === operations ? own : placeholders);
      });
      after(() => workshop?.close());

      const sections = sectionsOf(readFileSync(join(folder, document), 'utf8'));
      for (const { title, blocks } of sections) {
        it(title, async function () {
          const usesMosquitto = blocks.some(({ text, marks }) => marks.has('run') && text.includes('mosquitto_'));
          if (usesMosquitto) skipWithout(this, 'mosquitto_pub', 'mosquitto-clients');
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
