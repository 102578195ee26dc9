import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getPriority } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { calibrate } from '../../../node-runtime/engines/index.ts';
import { skip } from '../../support/skip.ts';
import { Bench, bundleSandbox, isAlive } from './harness.ts';

const onLinux = process.platform === 'linux';

describe('a sandbox process', () => {
  it('is confined as far as this system allows', async function () {
    if (!onLinux) skip(this, 'only Linux has /proc');
    process.env.FOREMESH_TEST_SECRET = 'secret';
    const bench = await Bench.open({ nice: 12 });
    await bench.value('export default () => 1');
    const pid = bench.pool.load().processIds[0]!;
    equal(getPriority(pid), 12);
    const description = bench.pool.describe();
    deepEqual(description.notes, []);
    if (process.getuid?.() === 0) {
      equal(description.privileges, 'dropped');
      match(
        readFileSync(`/proc/${pid}/status`, 'utf8'),
        /^Uid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534/m,
      );
      match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Groups:\s*$/m);
      match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^CapEff:\t0+$/m);
      equal(readFileSync(`/proc/${pid}/environ`, 'utf8').includes('FOREMESH_TEST_SECRET'), false);
      if (description.network === 'isolated') {
        ok(readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net'));
      }
    }
    if (description.network === 'shared') ok((description.networkReason ?? '').length > 0);
    await bench.pool.close();
  });

  it('starts from source, too', async () => {
    const bench = new Bench({ slots: 1 });
    equal(await bench.value('export default () => 5'), 5);
    await bench.pool.close();
  });

  for (const [state, code] of [
    ['idle', 'export default () => 1'],
    ['busy in a loop', 'export default () => { for (;;); }'],
    ['busy with awaits', 'export default async () => { for (;;) await 1; }'],
  ] as const) {
    it(`does not outlive a parent that is killed while it is ${state}`, async function () {
      if (!onLinux) skip(this, 'only Linux has /proc');
      const entry = await bundleSandbox();
      const child = spawn(
        process.execPath,
        [
          ...[
            '--import',
            pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href,
            '--conditions=mesh-source',
          ],
          fileURLToPath(new URL('./orphan-parent.ts', import.meta.url)),
          JSON.stringify({ entry, code }),
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      equal(isAlive(pid), true);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const bench = await Bench.open();
      await bench.until(() => !isAlive(pid));
      await bench.pool.close();
    });
  }

  it('tells how fast each engine is here', async () => {
    const { js, wasm } = await calibrate({ entry: await bundleSandbox() });
    for (const speed of [js, wasm]) ok(speed > 0.05 && speed < 100, String(speed));
  });
});
