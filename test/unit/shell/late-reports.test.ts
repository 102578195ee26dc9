import assert from 'node:assert/strict';
import { type DataReference, MeshError, type OutboxMessage } from '@foremesh/node-runtime/contract';
import type { VoterEvent } from '@foremesh/node-runtime/core';
import { pino } from 'pino';
import { LateReports } from '../../../node-runtime/shell/voter/late-reports.ts';
import type { Voter } from '../../../node-runtime/shell/voter/voter.ts';
import { until } from '../../support/until.ts';
import { done, failed } from '../core/samples.ts';
import { FakeBlobs } from './fake-blobs.ts';

describe('what comes late', () => {
  const attempt = 'me/j/s-0#1.1';
  let blobs: FakeBlobs;
  let fed: OutboxMessage[];
  let reports: LateReports;
  let held: DataReference;
  const gone: DataReference = { blob: `sha256-${'0'.repeat(64)}`, sizeBytes: 3 };
  beforeEach(async () => {
    blobs = new FakeBlobs();
    fed = [];
    held = await blobs.put(Buffer.from('line\n'));
    const voter = {
      planner: { leading: true, attempts: new Map() },
      feed: (event: VoterEvent & { type: 'node-reported' }) => fed.push(...event.messages),
    };
    reports = new LateReports({
      voter: () => voter as unknown as Voter,
      blobs: blobs.client,
      log: pino({ level: 'silent' }),
    });
  });
  const sift = (...messages: OutboxMessage[]) => reports.sift('bob', 'boot', messages);
  const heard = (count = 1) => until('it was fed', () => (fed.length === count ? fed : undefined));

  it('counts at once when it names nothing that could be gone', () => {
    const messages = [done(attempt), failed(attempt, 'task')];
    assert.deepEqual(sift(...messages), messages);
  });

  it('counts with its log when a holder has that, and without when none has', async () => {
    const whole = { ...done(attempt), log: held } as OutboxMessage;
    assert.deepEqual(sift(whole), []);
    assert.deepEqual(await heard(), [whole]);
    const broken = failed('me/j/s-1#1.2', 'task');
    assert.deepEqual(sift({ ...broken, log: gone } as OutboxMessage), []);
    assert.deepEqual((await heard(2))[1], broken);
  });

  it('fails, by no fault of the task, when its output is gone, whatever has become of the log', async () => {
    sift({ ...done(attempt), output: { encoding: 'text', ...gone }, log: held } as OutboxMessage);
    const [outcome] = await heard();
    assert.ok(outcome!.type === 'failed' && outcome!.fault === 'node' && outcome!.code === 'MESH_BLOB_MISSING');
  });

  it('is not known to count while no holder answers', async () => {
    let asked = 0;
    blobs.checkHeld = async () => {
      asked += 1;
      throw new MeshError('MESH_UNREACHABLE', 'nobody');
    };
    const late = { ...done(attempt), log: held } as OutboxMessage;
    assert.deepEqual(sift(late), []);
    await until('a holder was asked', () => asked === 1);
    // It is asked again when the node says so again.
    await until('it may be asked again', () => {
      sift(late);
      return asked > 1;
    });
    assert.deepEqual(fed, []);
  });
});
