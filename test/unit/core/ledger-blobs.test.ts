import assert from 'node:assert/strict';
import { lateBlobOf, unneededBlobs } from '@foremesh/node-runtime/core';
import { assigned, blobNamed, code, done, Leader, mergeCode, planOf, splitStage, stagePlan } from './samples.ts';

describe('ledger: the blobs that jobs need', () => {
  const all = [code, mergeCode, blobNamed('a'), blobNamed('b'), blobNamed('e'), blobNamed('f')];
  const kept = (leader: Leader) => {
    const left = unneededBlobs(leader.planner.ledger, all);
    return all.filter((each) => !left.includes(each)).map(({ blob }) => blob[7]);
  };
  const output = (digit: string) => ({ encoding: 'json' as const, ...blobNamed(digit) });

  it('are code, merge, input, files and outputs, as long as they may be wanted', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('ada', { slots: 4, engines: ['js', 'wasm'] });
    assert.deepEqual(kept(leader), []);
    leader.submit('j', { ...planOf(splitStage('s', 2)), retentionMs: 5_000 });
    assert.deepEqual(kept(leader), ['c', 'd', 'a']);
    const [first, second] = assigned(leader.indexed('j', 's', 2));
    const merging = [first!, second!].flatMap(({ attempt }, at) =>
      assigned(leader.report('ada', [{ ...done(attempt), output: output('be'[at]!) } as ReturnType<typeof done>])),
    );
    assert.deepEqual(kept(leader), ['c', 'd', 'a', 'b', 'e'], 'parts that are to be merged');
    leader.report('ada', [{ ...done(merging[0]!.attempt), output: output('f') } as ReturnType<typeof done>]);
    assert.deepEqual(kept(leader), ['c', 'd', 'a', 'f'], 'the result');
    for (const node of ['bob', 'eve']) leader.join(node);
    leader.step({ type: 'tick' }, 1_000);
    leader.step({ type: 'tick' }, 5_000);
    assert.deepEqual(kept(leader), [], 'it is forgotten');
  });

  it('are told apart by name and size together, and kept for every job that names them', () => {
    const leader = new Leader();
    leader.elect();
    for (const job of ['j', 'k']) leader.submit(job, planOf(stagePlan('s', { input: blobNamed('a') })));
    leader.step({ type: 'cancel-requested', account: 'me', job: 'j', reason: 'no' });
    const other = blobNamed('a', 101);
    assert.deepEqual(unneededBlobs(leader.planner.ledger, [blobNamed('a'), other, code]), [other]);
  });

  it('are asked for before an outcome counts of which the leader did not know that it was to come', () => {
    const leader = new Leader();
    leader.elect();
    leader.join('ada');
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s'))));
    const outcome = { ...done(first!.attempt), output: output('f') } as ReturnType<typeof done>;
    assert.equal(lateBlobOf(leader.planner, outcome), undefined, 'it has run all the time');
    leader.step({ type: 'tick' }, 60_000);
    assert.deepEqual(lateBlobOf(leader.planner, outcome), blobNamed('f'), 'the node was away');
    assert.equal(lateBlobOf(leader.planner, done(first!.attempt)), undefined, 'it brings its output along');
  });
});
