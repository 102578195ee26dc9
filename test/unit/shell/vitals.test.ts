import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { metricSample } from '../../../node-runtime/contract/index.ts';
import { VitalsReader } from '../../../node-runtime/shell/vitals.ts';
import { endAll, scratch } from './scratch.ts';

/** As Raspberry Pi OS 12 has it on a Pi 4. */
const raspberry = {
  'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  'sys/class/thermal/thermal_zone0/temp': '48199\n',
  'sys/class/thermal/cooling_device0/type': 'cpufreq-cpu0\n',
  'sys/class/thermal/cooling_device0/cur_state': '0\n',
  'sys/devices/platform/soc/soc:firmware/get_throttled': '50000\n',
  'proc/self/io':
    'rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 409600\ncancelled_write_bytes: 4096\n',
};
/** A laptop: zones of the board, of a radio that is off, and of the processor. */
const laptop = {
  'sys/class/thermal/thermal_zone0/type': 'acpitz\n',
  'sys/class/thermal/thermal_zone0/temp': '95000\n',
  'sys/class/thermal/thermal_zone1/type': 'iwlwifi_1\n',
  'sys/class/thermal/thermal_zone2/type': 'x86_pkg_temp\n',
  'sys/class/thermal/thermal_zone2/temp': '61000\n',
  'sys/class/thermal/cooling_device0/type': 'Processor\n',
  'sys/class/thermal/cooling_device0/cur_state': '3\n',
  'sys/class/thermal/cooling_device1/type': 'Fan\n',
  'sys/class/thermal/cooling_device1/cur_state': '1\n',
};

describe('vitals of a machine', () => {
  afterEach(endAll);

  async function read(files: Readonly<Record<string, string>>) {
    const root = await scratch();
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
    const { diskFreeBytes, diskTotalBytes, ...rest } = await new VitalsReader({ directory: root, root }).read();
    assert.ok(diskFreeBytes! > 0 && diskTotalBytes! >= diskFreeBytes!);
    return rest;
  }

  it('of a Raspberry Pi: its temperature, and throttling now, not some time ago', async () => {
    const expected = { temperatureCelsius: 48.199, isThrottled: false, writtenBytes: 405_504 };
    assert.deepEqual(await read(raspberry), expected);
    const firmware = 'sys/devices/platform/soc/soc:firmware/get_throttled';
    for (const [text, isThrottled] of [
      ['50005', true],
      ['0xe0008\n', true],
      ['2', true],
      ['1', false], // a weak supply alone slows nothing down
      ['0\n', false],
      ['what?', false],
    ] as const)
      assert.deepEqual(await read({ ...raspberry, [firmware]: text }), { ...expected, isThrottled }, text);
  });

  it('of a laptop: its processor, not its board; slowed down by heat, whatever its fan does', async () => {
    assert.deepEqual(await read(laptop), { temperatureCelsius: 61, isThrottled: true });
    const { 'sys/class/thermal/cooling_device0/cur_state': _, ...without } = laptop;
    assert.deepEqual(await read(without), { temperatureCelsius: 61 });
  });

  it('of a machine that says nothing, or nonsense: nothing', async () => {
    assert.deepEqual(await read({}), {});
    const nonsense = {
      'sys/class/thermal/thermal_zone0/type': 'soc\n',
      'sys/class/thermal/thermal_zone0/temp': '-274000\n',
      'sys/class/thermal/thermal_zone1/temp': '40000\n',
      'proc/self/io': 'write_bytes: many\n',
    };
    assert.deepEqual(await read(nonsense), {});
    assert.deepEqual(await read({ 'sys/class/thermal/thermal_zone1/temp': '40000\n' }), { temperatureCelsius: 40 });
  });

  it('of this one: they fit the contract', async () => {
    const vitals = await new VitalsReader({ directory: await scratch() }).read();
    assert.deepEqual(metricSample.partial().parse(vitals), vitals);
  });

  it('asks for the disk once a minute, and lives without one', async () => {
    let nowMs = 0;
    const directory = join(await scratch(), 'home');
    const reader = new VitalsReader({ directory, root: '/nowhere', nowMs: () => nowMs });
    assert.deepEqual(await reader.read(), {});
    await mkdir(directory);
    nowMs = 59_999;
    assert.deepEqual(await reader.read(), {});
    nowMs = 60_000;
    assert.deepEqual(Object.keys(await reader.read()), ['diskFreeBytes', 'diskTotalBytes']);
  });
});
