import assert from 'node:assert/strict';
import { type GlobalModelRecord, isWorthUsing, retrainPolicy, shouldRetrain } from '@foremesh/models';

const minuteMs = 60_000;
const { everyMs, pauseMs, windowsLeast, scoredLeast } = retrainPolicy;
const content: GlobalModelRecord = {
  trainedAgoMs: 2 * pauseMs,
  triedAgoMs: 2 * pauseMs,
  windows: 10 * windowsLeast,
  windowsWhenTrained: 9 * windowsLeast,
  scored: 10 * scoredLeast,
  loss: 0.9,
  challengerLoss: 1,
  ratioWhenTrained: 0.9,
};

describe('whether a global model is trained again', () => {
  it('not while it is as good as it was', () => {
    assert.equal(shouldRetrain(content), undefined);
  });

  it('first when there is enough to learn from', () => {
    const never = { ...content, trainedAgoMs: undefined, triedAgoMs: undefined };
    assert.equal(shouldRetrain(never), 'never-trained');
    assert.equal(shouldRetrain({ ...never, windows: windowsLeast - 1 }), undefined);
  });

  it('on schedule, and when there is much more to learn from', () => {
    assert.equal(shouldRetrain({ ...content, trainedAgoMs: everyMs }), 'schedule');
    assert.equal(shouldRetrain({ ...content, trainedAgoMs: everyMs - 1 }), undefined);
    assert.equal(shouldRetrain({ ...content, windows: 36 * windowsLeast }), 'more-to-learn-from');
  });

  it('when its score falls beside its challenger, not when both fall', () => {
    assert.equal(shouldRetrain({ ...content, loss: 1 }), 'score-fell');
    assert.equal(shouldRetrain({ ...content, loss: 1.8, challengerLoss: 2 }), undefined);
    assert.equal(shouldRetrain({ ...content, loss: 1, scored: scoredLeast - 1 }), undefined);
  });

  it('never soon after a try, whatever came of it', () => {
    const reasons = [{ loss: 5 }, { trainedAgoMs: 9 * everyMs }, { trainedAgoMs: undefined }];
    for (const reason of reasons)
      assert.equal(shouldRetrain({ ...content, ...reason, triedAgoMs: pauseMs - minuteMs }), undefined);
  });
});

describe('whether a global model is used', () => {
  it('where it beats its challenger, and that has been seen often enough', () => {
    assert.equal(isWorthUsing({ scored: scoredLeast, loss: 0.99, challengerLoss: 1 }), true);
    assert.equal(isWorthUsing({ scored: scoredLeast - 1, loss: 0.99, challengerLoss: 1 }), false);
    assert.equal(isWorthUsing({ scored: scoredLeast, loss: 1, challengerLoss: 1 }), false);
    assert.equal(isWorthUsing({ scored: scoredLeast, loss: Number.NaN, challengerLoss: 1 }), false);
  });
});
