import assert from 'node:assert/strict';
import { renderTable } from '../../../node-runtime/cli/table.ts';
import {
  bytesText,
  durationText,
  editDistance,
  nearest,
  percentText,
  printable,
  widthOf,
} from '../../../node-runtime/cli/text.ts';

describe('cli: words', () => {
  it('says durations and sizes as a person would', () => {
    const durations = [0, 999, 1_000, 9_949, 9_950, 59_400, 60_000, 200_000, 3_600_000, 7_500_000].map(durationText);
    assert.deepEqual(durations, [
      '0 ms',
      '999 ms',
      '1.0 s',
      '9.9 s',
      '10 s',
      '59 s',
      '1 min',
      '3 min 20 s',
      '1 h',
      '2 h 5 min',
    ]);
    const sizes = [0, 999, 1_000, 9_950_000, 250_000_000, 999_600_000].map(bytesText);
    assert.deepEqual(sizes, ['0 B', '999 B', '1.0 kB', '9.9 MB', '250 MB', '1.0 GB']);
  });

  it('never says 100 % before the end', () => {
    assert.deepEqual([0, 0.009, 0.5, 0.9999, 1].map(percentText), ['0 %', '0 %', '50 %', '99 %', '100 %']);
  });

  it('finds what was probably meant, and nothing far off', () => {
    assert.equal(nearest('retrys', ['retries', 'needs']), 'retries');
    assert.equal(nearest('Inptu', ['input', 'limits']), 'input');
    assert.equal(nearest('zebra', ['input', 'limits']), undefined);
    assert.equal(editDistance('', 'abc'), 3);
    assert.equal(editDistance('ab', 'ba'), 1);
  });

  it('lets nothing from elsewhere steer the terminal', () => {
    assert.equal(printable('a\u001b[2Jb\u009bc\td\n'), 'a\ufffd[2Jb\ufffdc\td\n');
  });

  it('aligns tables by what is seen, and leaves empty columns out', () => {
    assert.equal(widthOf('\u001b[32m日本e\u0301\u001b[0m'), 5);
    const rows = [
      { name: 'ada', count: 5, note: '' },
      { name: '日本', count: 120, note: '' },
    ];
    const lines = renderTable(rows, [
      { title: 'NAME', cell: ({ name }) => name },
      { title: 'COUNT', align: 'right', cell: ({ count }) => String(count) },
      { title: 'NOTE', cell: ({ note }) => note },
    ]);
    assert.deepEqual(lines, ['NAME  COUNT', 'ada       5', '日本    120']);
  });
});
