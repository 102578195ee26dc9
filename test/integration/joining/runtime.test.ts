import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { skipWithout } from '../../support/skip.ts';
import { meshAcrossNetwork } from './secured-mesh.ts';

const run = promisify(execFile);

describe('a device that has nothing but Node', function () {
  this.timeout(180_000);
  let device: string;

  before(async function () {
    device = await mkdtemp(join(tmpdir(), 'foremesh-device-'));
    skipWithout(this, 'curl', 'curl');
  });
  after(() => rm(device, { recursive: true }));
  const { network, mesh } = meshAcrossNetwork();

  /** As a person pastes it, on the device; `sudo` and where npm puts what is global are the device's own. */
  const paste = async (line: string) => {
    const bin = join(device, 'bin');
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
    const env = { PATH: `${bin}:${process.env.PATH}`, HOME: device, npm_config_prefix: join(device, 'npm') };
    return run(network.prefix[0]!, [...network.prefix.slice(1), 'sh', '-c', line], { cwd: device, env });
  };

  it('gets the runtime from the broker by the line that `invite` prints, and joins with it', async () => {
    const stdout = await mesh.succeed('invite', '--home', mesh.home('hub'), '--json');
    const { fetch, invitation } = JSON.parse(stdout) as { fetch: string; invitation: string };
    assert.match(fetch, new RegExp(`^curl -fsSk https://${network.here}:${mesh.port}/runtime.tgz .* sha256sum -c `));
    await paste(fetch);
    const joined = await paste(`npm/bin/foremesh join '${invitation}' --home '${device}/home' --name pi-5`);
    assert.match(joined.stdout, /\* pi-5 joined; offers/);
  });

  it('installs nothing when other bytes came than the hub has hashed', async () => {
    const stdout = await mesh.succeed('invite', '--home', mesh.home('hub'), '--json');
    const { fetch } = JSON.parse(stdout) as { fetch: string };
    await appendFile(join(mesh.home('hub'), 'broker', 'runtime.tgz'), 'and more');
    await rm(join(device, 'npm'), { recursive: true });
    await assert.rejects(paste(fetch), /sha256sum: WARNING: 1 computed checksum did NOT match/);
    await assert.rejects(paste('npm/bin/foremesh --version'));
  });
});
