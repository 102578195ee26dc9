import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');
const machines = 6;
const length = 288;

describe('bench forecast', function () {
  this.timeout(120_000);
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'foremesh-bench-'));
    mkdirSync(join(folder, 'planetlab'));
    const names = Array.from({ length: machines }, (_, index) => `vm${String(index).padStart(3, '0')}`);
    const rows = Array.from({ length }, (_, step) =>
      [step, ...names.map((_name, index) => (7 * step * (index + 1) + step * step) % 40)].join(','),
    );
    writeFileSync(
      join(folder, 'planetlab/planetlab_20200101_cpu_6vm.csv'),
      `${[`step,${names.join(',')}`, ...rows].join('\n')}\n`,
    );
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function run(...args: string[]) {
    const all = ['--conditions=mesh-source', '--import=tsx', 'bench/forecast.ts', '--data', folder, ...args];
    return spawnSync(process.execPath, all, { cwd: root, encoding: 'utf8' });
  }

  function windowsOf(lines: readonly string[]): string {
    const file = join(folder, 'windows.csv');
    writeFileSync(file, `set,series,origin\n${lines.join('\n')}\n`);
    return file;
  }

  it('predicts the windows that it is given, by the engine or by one model', () => {
    const windows = windowsOf(['planetlab,vm001,144', 'nab,other,7', 'planetlab,vm001,276', 'planetlab,vm004,150']);
    for (const model of [undefined, 'ma12', 'ridge']) {
      const out = join(folder, `${model}.csv`);
      const args = ['--set', 'planetlab', '--windows', windows, '--out', out];
      const { status, stderr } = run(...args, ...(model === undefined ? [] : ['--model', model]));
      assert.equal(status, 0, stderr);
      const [header, ...lines] = readFileSync(out, 'utf8').trimEnd().split('\n');
      assert.equal(header, 'series,origin,h,point,q10,q50,q90');
      assert.equal(lines.length, 3 * 12);
      const cells = lines.map((line) => line.split(','));
      assert.deepEqual(
        cells.map(([series, origin, h]) => `${series} ${origin} ${h}`),
        ['vm001 144', 'vm001 276', 'vm004 150'].flatMap((window) =>
          Array.from({ length: 12 }, (_, step) => `${window} ${step + 1}`),
        ),
      );
      for (const [, , , point, q10, q50, q90] of cells) {
        const numbers = [0, q10, q50, q90, 100].map(Number);
        assert.deepEqual(
          numbers,
          [...numbers].sort((one, other) => one - other),
        );
        assert.ok(Number(point) >= 0 && Number(point) <= 100);
      }
    }
    const average = readFileSync(join(folder, 'ma12.csv'), 'utf8').split('\n')[1]!.split(',');
    const values = Array.from({ length: 12 }, (_, index) => 132 + index).map((step) => (14 * step + step * step) % 40);
    assert.ok(Math.abs(Number(average[3]) - values.reduce((sum, value) => sum + value, 0) / 12) < 1e-9);
  });

  it('prints figures of a set under stable keys', () => {
    const { status, stdout, stderr } = run('--set', 'planetlab', '--model', 'climatology', '--json');
    assert.equal(status, 0, stderr);
    const report = JSON.parse(stdout) as Record<string, number>;
    for (const model of ['last', 'climatology']) {
      assert.equal(report[`forecast.planetlab.${model}.windows`], machines * 12);
      for (const measure of ['mae', 'mase', 'pb', 'coverage', 'coverageHalf', 'pbError', 'fitMs', 'forecastMs'])
        assert.ok(report[`forecast.planetlab.${model}.${measure}`]! >= 0, measure);
    }
    assert.ok(report['forecast.planetlab.climatology.pb']! < report['forecast.planetlab.last.pb']!);
  });

  it('says what is wrong with what it was given', () => {
    const out = join(folder, 'out.csv');
    const unknown = run('--set', 'planetlab', '--windows', windowsOf(['planetlab,vm009,144']), '--out', out);
    assert.deepEqual([unknown.status, /windows.csv:2: planetlab has no series vm009/.test(unknown.stderr)], [1, true]);
    const late = run('--set', 'planetlab', '--windows', windowsOf(['planetlab,vm001,289']), '--out', out);
    assert.deepEqual([late.status, /origin 289 is not within the 288 values/.test(late.stderr)], [1, true]);
    const model = run('--set', 'planetlab', '--model', 'oracle');
    assert.deepEqual([model.status, /there is no model oracle/.test(model.stderr)], [2, true]);
    const half = run('--set', 'planetlab', '--out', out);
    assert.deepEqual([half.status, /belong together/.test(half.stderr)], [2, true]);
  });
});
