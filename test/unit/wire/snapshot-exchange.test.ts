import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { encodeCbor, type RaftEnvelope } from '../../../node-runtime/contract/index.ts';
import type { VoterEvent } from '../../../node-runtime/core/index.ts';
import { sha256 } from '../../../node-runtime/data/index.ts';
import { processTimers } from '../../../node-runtime/shell/process-timers.ts';
import { SnapshotExchange } from '../../../node-runtime/wire/index.ts';

type Content = RaftEnvelope['content'];

const configuration = { voters: ['ada'], learners: [] };
function snapshot(index: number, sizeBytes = 500_000) {
  return { index, term: 2, configuration, ledger: { text: String(index).padEnd(sizeBytes, '.') } };
}

/** Two voters and what passes between them. */
class Pair {
  readonly fed: VoterEvent[] = [];
  readonly problems: string[] = [];
  readonly asks: Content[] = [];
  onDisk: ReturnType<typeof snapshot> | undefined;
  /** What becomes of a chunk on its way; undefined when it is lost. */
  pass: (content: Content) => readonly Content[] = (content) => [content];
  readonly server: SnapshotExchange = this.make((content) => {
    for (const passed of this.pass(content)) if (passed.kind === 'snapshot-chunk') this.client.hear('ada', passed);
  });
  readonly client: SnapshotExchange = this.make((content) => {
    this.asks.push(content);
    if (content.kind === 'snapshot-ask') this.server.serve('bob', content);
  });

  private make(send: (content: Content) => void): SnapshotExchange {
    return new SnapshotExchange({
      send: (_, content) => setImmediate(() => send(content)),
      timers: processTimers,
      sha256,
      read: (take) => setImmediate(() => take(this.onDisk === undefined ? undefined : encodeCbor(this.onDisk))),
      feed: (event) => this.fed.push(event),
      onProblem: (text) => this.problems.push(text),
    });
  }

  /** Lets everything happen that can, and the clock go on, until something was fed. */
  async untilFed(): Promise<VoterEvent> {
    for (let turns = 0; this.fed.length === 0; turns += 1) {
      assert.ok(turns < 10_000, 'nothing comes of it');
      for (let settled = 0; settled < 5; settled += 1) await new Promise(setImmediate);
      mock.timers.tick(500);
    }
    return this.fed[0]!;
  }

  close(): void {
    this.server.close();
    this.client.close();
  }
}

describe('SnapshotExchange', () => {
  let pair: Pair;
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    pair = new Pair();
  });
  afterEach(() => {
    pair.close();
    mock.timers.reset();
  });

  it('brings a snapshot in chunks', async () => {
    pair.onDisk = snapshot(7);
    pair.client.fetch('ada', 7, 2);
    assert.deepEqual(await pair.untilFed(), { type: 'snapshot-fetched', ...snapshot(7) });
    assert.ok(pair.asks.length >= 3);
  });

  it('brings it over a link that loses, doubles and reorders', async () => {
    pair.onDisk = snapshot(7);
    let count = 0;
    let late: Content[] = [];
    pair.pass = (content) => {
      count += 1;
      if (count % 3 === 0) return [];
      const before = late;
      late = [content];
      return [content, ...before, content];
    };
    pair.client.fetch('ada', 7, 2);
    assert.deepEqual(await pair.untilFed(), { type: 'snapshot-fetched', ...snapshot(7) });
  });

  it('waits until it is on the disk, and takes a newer one that has replaced it', async () => {
    pair.client.fetch('ada', 7, 2);
    await new Promise(setImmediate);
    pair.onDisk = snapshot(9, 1_000);
    assert.deepEqual(await pair.untilFed(), { type: 'snapshot-fetched', ...snapshot(9, 1_000) });
  });

  for (const [what, other] of [
    ['a newer one', snapshot(8)],
    ['another of the same entry', { ...snapshot(7), ledger: { text: 'other'.padEnd(500_000, '.') } }],
  ] as const)
    it(`begins again when ${what} takes its place half way`, async () => {
      pair.onDisk = snapshot(7);
      const restarted = new SnapshotExchange({
        send: (_, content) => setImmediate(() => content.kind === 'snapshot-chunk' && pair.client.hear('ada', content)),
        timers: processTimers,
        sha256,
        read: (take) => take(encodeCbor(other)),
        feed: () => assert.fail('it asks for nothing'),
        onProblem: assert.fail,
      });
      let chunks = 0;
      pair.pass = (content) => {
        chunks += 1;
        // The other was restarted meanwhile, and has another one.
        if (chunks === 2) pair.server.serve = (from, ask) => restarted.serve(from, ask);
        return [content];
      };
      pair.client.fetch('ada', 7, 2);
      assert.deepEqual(await pair.untilFed(), { type: 'snapshot-fetched', ...other });
      restarted.close();
    });

  it('fails when nobody answers, or when it is damaged', async () => {
    pair.client.fetch('ada', 7, 2);
    assert.deepEqual(await pair.untilFed(), { type: 'snapshot-failed', index: 7, term: 2 });
    assert.match(pair.problems[0]!, /does not answer/);
    pair.fed.length = 0;
    pair.onDisk = snapshot(7);
    pair.pass = (content) =>
      content.kind === 'snapshot-chunk' ? [{ ...content, bytes: content.bytes.map((byte) => byte ^ 1) }] : [];
    pair.client.fetch('ada', 7, 2);
    assert.equal((await pair.untilFed()).type, 'snapshot-failed');
    assert.match(pair.problems[1]!, /damaged/);
  });
});
