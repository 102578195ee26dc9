import assert from 'node:assert/strict';
import { MeshError } from '@foremesh/node-runtime/contract';
import { type ReadOptions, readSeries } from '../../../node-runtime/cli/backtest/read-series.ts';

const read = (text: string, options: Partial<ReadOptions> = {}) => readSeries(text, { file: 'a.csv', ...options });
const minute = 60_000;

describe('cli: a series from a file', () => {
  const cases: readonly [string, string, Partial<ReadOptions>, number[], number, string][] = [
    ['one value on each line', '1\n2.5\n-3e-1\n', {}, [1, 2.5, -0.3], minute, 'column 1'],
    [
      'with a name, comments, empty lines and Windows ends',
      '# from a Pi, the old one\r\n\r\nload\r\n1\r\n\r\n# then\r\n2\r\n\r\n',
      {},
      [1, Number.NaN, 2, Number.NaN],
      minute,
      'load',
    ],
    ['missing values', 'load\n1\nNaN\n-\nn/a\n5\n', {}, [1, Number.NaN, Number.NaN, Number.NaN, 5], minute, 'load'],
    ['a first value that is missing', 'nan\n1\n', {}, [Number.NaN, 1], minute, 'column 1'],
    ['an interval that is said', '1\n2\n', { intervalMs: 5_000 }, [1, 2], 5_000, 'column 1'],
    ['seconds since 1970', '1700000000,1\n1700000300,2\n1700000600,3\n', {}, [1, 2, 3], 300_000, 'column 2'],
    ['milliseconds since 1970', '1700000000000,1\n1700000000500,2\n', {}, [1, 2], 500, 'column 2'],
    [
      'dates',
      'time,cpu\n2026-03-29T01:55:00,1\n2026-03-29 02:00,2\n2026-03-29T02:05Z,3\n',
      {},
      [1, 2, 3],
      300_000,
      'cpu',
    ],
    ['microseconds since 1970', '1700000000000000,1\n1700000060000000,2\n', {}, [1, 2], minute, 'column 2'],
    ['nanoseconds since 1970', '1700000000000000000,1\n1700000060000000000,2\n', {}, [1, 2], minute, 'column 2'],
    [
      'dates that are written otherwise',
      'time,cpu\nTue Nov 14 2023 22:00,1\n14 Nov 2023 23:01 +0100,2\n2023/11/14 10:02 PM,3\n"Nov 14, 2023 22:03 GMT",4\n2023-11-14T22:04:00 UTC,5\n',
      {},
      [1, 2, 3, 4, 5],
      minute,
      'cpu',
    ],
    [
      'a separator of others in a field, and in quotes',
      'time,cpu,note\n0,1,a;b\n60,2,"c;d"\n',
      {},
      [1, 2],
      minute,
      'cpu',
    ],
    [
      'a separator of others in each line but the first',
      'time,cpu,note\n0,1,a;b\n60,2,c;d\n',
      {},
      [1, 2],
      minute,
      'cpu',
    ],
    ['commas in fields', 'time;cpu;note\n0;0,5;a,b\n60;1;c\n', {}, [0.5, 1], minute, 'cpu'],
    ['columns of one name, by number', 'time,cpu,cpu\n0,1,3\n60,2,4\n', { column: '3' }, [3, 4], minute, 'cpu'],
    [
      'numbers that are no dates',
      'cpu,memory,disk\n1234.5,2,3\n1235.5,4,5\n',
      { column: 'cpu' },
      [1234.5, 1235.5],
      minute,
      'cpu',
    ],
    ['addresses', 'host,cpu\n10.10.10.10,1\n10.10.10.11,2\n', {}, [1, 2], minute, 'cpu'],
    ['days', 'date;cpu\n2026-01-01;0,5\n2026-01-02;0,25\n', {}, [0.5, 0.25], 86_400_000, 'cpu'],
    ['an empty line beside times', 'time,cpu\n0,1\n\n60,2\n', {}, [1, 2], minute, 'cpu'],
    ['names that are no times', 'cpu,memory\n2,20\n1,10\n', { column: 'cpu' }, [2, 1], minute, 'cpu'],
    ['the one column of numbers', 'host,cpu\npi-1,1\npi-1,2\n', {}, [1, 2], minute, 'cpu'],
    ['tabs', 'time\tcpu\n0\t1\n60\t2\n', {}, [1, 2], minute, 'cpu'],
    ['times in a column that is not the first', 'cpu,time\n1,0\n2,60\n', {}, [1, 2], minute, 'cpu'],
    ['a column by name', 'time,cpu,memory\n0,1,10\n60,2,20\n', { column: 'memory' }, [10, 20], minute, 'memory'],
    ['a column by number', '0,1,10\n60,2,20\n', { column: '3' }, [10, 20], minute, 'column 3'],
    ['names in quotes', '"time","cpu, all ""cores"""\n0,1\n60,2\n', {}, [1, 2], minute, 'cpu, all "cores"'],
    ['gaps', '0,1\n60,2\n240,5\n300,6\n', {}, [1, 2, Number.NaN, Number.NaN, 5, 6], minute, 'column 2'],
    ['times that jitter', '0,1\n61,2\n119,3\n181,4\n', { intervalMs: minute }, [1, 2, 3, 4], minute, 'column 2'],
    ['a coarser interval: means', '0,1\n20,3\n60,5\n90,9\n', { intervalMs: minute }, [2, 5, 9], minute, 'column 2'],
    ['a time that comes twice', '0,1\n60,2\n60,4\n120,5\n', {}, [1, 3, 5], minute, 'column 2'],
  ];
  for (const [what, text, options, values, intervalMs, name] of cases) {
    it(what, () => {
      const series = read(text, options);
      assert.deepEqual([[...series.values], series.intervalMs, series.name], [values, intervalMs, name]);
    });
  }

  it('takes dates for UTC, wherever it runs', () => {
    const zone = process.env.TZ;
    try {
      // Its clock goes from 02:00 to 03:00 on that day.
      process.env.TZ = 'America/New_York';
      for (const day of ['2024-03-10', '2024/03/10', '2024.03.10', 'Mar 10 2024', '10-Mar-2024']) {
        const { values } = read(
          `time,cpu\n${['00', '01', '02', '03'].map((hour) => `${day} ${hour}:00,1\n`).join('')}`,
        );
        assert.deepEqual([...values], [1, 1, 1, 1], day);
      }
    } finally {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    }
  });

  it('counts what is averaged', () => {
    const averaged = (text: string, options: Partial<ReadOptions> = {}) => read(text, options).averaged;
    assert.equal(averaged('1\n2\n'), 0);
    assert.equal(averaged('0,1\n60,2\n60,\n120,5\n'), 0);
    assert.equal(averaged('host,time,cpu\na,0,1\nb,0,9\nc,0,5\na,60,1\n'), 3);
    assert.equal(averaged('0,1\n20,3\n60,5\n90,9\n', { intervalMs: minute }), 2);
  });

  const faults: readonly [string, string, Partial<ReadOptions>, string, RegExp][] = [
    ['nothing', '\n\n', {}, 'a.csv', /no values/],
    ['names alone', 'time,cpu\n', {}, 'a.csv:1', /no values below/],
    ['a word', '1\n2\nthree\n', {}, 'a.csv:3', /"three" is no number/],
    ['infinity', '1\n1e999\n', {}, 'a.csv:2', /"1e999" is no number/],
    ['a time that is none', 'time,cpu\nnoon,1\n', {}, 'a.csv:2', /"noon" is no time/],
    ['a date that could be two', 'time,cpu\n01/03/2024 0:00,1\n', {}, 'a.csv:2', /"01\/03\/2024 0:00" is no time/],
    ['a day that is first', 'day,cpu\n14.11.2024,1\n', {}, 'a.csv:2', /"14\.11\.2024" is no time/],
    ['columns of one name', 'time,cpu,cpu\n0,1,2\n', { column: 'cpu' }, 'a.csv:1', /there are 2 columns "cpu"/],
    ['what models do not know', '1\n-1e31\n', {}, 'a.csv:2', /"-1e31" is beyond 1e\+30/],
    [
      'times that are guessed and go back',
      '2,1\n1,2\n',
      {},
      'a.csv:2',
      /line above \(column 1 is taken for the times\)/,
    ],
    ['times as values', 'time,cpu\n0,1\n', { column: 'time' }, 'a.csv:1', /column "time" has the times/],
    ['times as values by number', 'time,cpu\n0,1\n', { column: '1' }, 'a.csv:1', /column "time" has the times/],
    ['guessed times as values', '0,1\n60,2\n', { column: '1' }, 'a.csv:1', /column "1" is taken for the times/],
    ['per cent signs', 'time,cpu\n0,1%\n', {}, 'a.csv:2', /"1%" is no number/],
    ['words alone', 'a,b\nx,y\n', {}, 'a.csv:1', /no values in any/],
    ['times that go back', 'time,cpu\n60,1\n0,2\n', {}, 'a.csv:3', /before that of the line above/],
    ['times that do not go on', '60,1\n60,2\n', {}, 'a.csv:1', /all of its times are the same/],
    ['a time far away', '0,1\n60,2\n120,3\n1700000000,4\n', {}, 'a.csv:4', /at most 1000000 can be/],
    ['a line with fewer columns', 'time,cpu\n0,1\n60\n', {}, 'a.csv:3', /1 columns, in line 2 there are 2/],
    ['several columns', 'a,b,c\n1,2,3\n', {}, 'a.csv:1', /there are 3 columns/],
    ['a column that is not there', 'time,cpu\n0,1\n', { column: 'mem' }, 'a.csv:1', /no column "mem"/],
    ['a column number that is not there', '0,1\n', { column: '3' }, 'a.csv:1', /no column "3"/],
  ];
  const mends: readonly [string, string, Partial<ReadOptions>, RegExp][] = [
    ['no columns of text', 'host,cpu,memory\npi-1,1,2\n', {}, /^choose one: --column cpu, or memory;/],
    ['numbers of columns of one name', 'time,cpu,cpu,idle\n0,1,2,3\n', {}, /^choose one: --column 2, or 3, or idle$/],
    [
      'the same where that name is asked for',
      'time,cpu,cpu\n0,1,2\n',
      { column: 'cpu' },
      /^choose one: --column 2, or 3$/,
    ],
    ['years that are first', 'time,cpu\n1/3/24,1\n', {}, /^write 2026-11-28T14:00:00Z \(the year first/],
    ['numbers without signs', 'cpu\n25.7%\n', {}, /^write 0\.25, without a sign or a unit,/],
  ];
  for (const [what, text, options, mend] of mends) {
    it(`offers ${what}`, () => {
      assert.throws(
        () => read(text, options),
        (error: unknown) => {
          assert.ok(error instanceof MeshError, String(error));
          assert.match(error.mend ?? '', mend);
          return true;
        },
      );
    });
  }
  for (const [what, text, options, where, message] of faults) {
    it(`refuses ${what}, and says where`, () => {
      assert.throws(
        () => read(text, options),
        (error: unknown) => {
          assert.ok(error instanceof MeshError && error.code === 'MESH_SERIES_INVALID', String(error));
          assert.equal(error.where, where);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});
