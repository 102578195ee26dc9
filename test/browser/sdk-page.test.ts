import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConnection } from '@foremesh/node-runtime/contract';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { freePort } from '../integration/mesh/fleet.ts';
import { ForemeshProcess, foremesh } from '../integration/mesh/processes.ts';
import { skipWithout } from '../support/skip.ts';
import { until } from '../support/until.ts';

const runtime = join(import.meta.dirname, '../../node-runtime');

describe('the SDK in a page', function () {
  this.timeout(90_000);
  let directory: string;
  let up: ForemeshProcess;
  let server: Server;
  let browser: Browser;
  let connection: string;
  let brokerPage: string;
  let webSocketPort: number;

  before(async function () {
    skipWithout(this, 'chromium', 'chromium');
    const build = spawnSync(process.execPath, [join(runtime, 'build-browser.mjs'), '--quiet'], { encoding: 'utf8' });
    assert.equal(build.status, 0, build.stderr);
    directory = await mkdtemp(join(tmpdir(), 'foremesh-page-'));
    const home = join(directory, 'home');
    webSocketPort = await freePort();
    // Founded for other machines, so that it speaks TLS.
    const at = ['--host', outerAddress(), '--port', String(await freePort())];
    const init = await foremesh('init', '--home', home, '--name', 'solo', ...at, '--json');
    assert.equal(init.code, 0, init.stderr);
    connection = (JSON.parse(init.stdout) as { connection: string }).connection;
    const { host, port } = parseConnection(connection);
    brokerPage = `https://${host}:${port}/`;
    const ports = ['--port', '0', '--websocket-port', String(webSocketPort)];
    up = new ForemeshProcess(['up', '--home', home, ...ports, '--slots', '2']);
    server = createServer((request, response) => {
      const [type, file] =
        request.url === '/sdk.js'
          ? ['text/javascript', join(runtime, 'dist/browser/sdk.js')]
          : ['text/html', join(import.meta.dirname, 'sdk-page.html')];
      // A strict page: no `eval`, no code from elsewhere but its own script.
      const policy = "default-src 'self'; script-src 'self' 'unsafe-inline'; connect-src *";
      response.writeHead(200, { 'content-type': type, 'content-security-policy': policy }).end(readFileSync(file));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    [browser] = await Promise.all([
      chromium.launch({
        executablePath: commandPath('chromium'),
        args: ['--no-sandbox', '--ignore-certificate-errors'],
      }),
      until('the node is online', () => up.stdout.includes('solo is in mesh')),
    ]);
  });
  after(async () => {
    await browser?.close();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
    await up?.kill('SIGTERM');
    if (directory !== undefined) await rm(directory, { recursive: true });
  });

  /** What the page says in the end, and what it showed on the way. */
  async function open(mesh: { connection: string; url?: string }) {
    const context = await browser.newContext();
    const errors: string[] = [];
    context.on('weberror', (each) => errors.push(each.error().message));
    // As its user would who trusts the broker's certificate: the browser then also knows which certificate to show (none).
    if (mesh.url === undefined) await visit(context, brokerPage);
    const { port } = server.address() as AddressInfo;
    const page = await visit(context, `http://127.0.0.1:${port}/#${encodeURIComponent(JSON.stringify(mesh))}`);
    await page.locator('#result:not(:empty)').waitFor({ timeout: 60_000 });
    const result = JSON.parse(await page.locator('#result').innerText()) as Record<string, unknown>;
    const phases = await page.locator('#phases li').allInnerTexts();
    const bar = Number(await page.locator('#bar').getAttribute('value'));
    await context.close();
    return { result, phases, bar, errors };
  }

  function assertDone({ result, phases, bar, errors }: Awaited<ReturnType<typeof open>>): void {
    assert.deepEqual(errors, []);
    assert.equal(result.error, undefined);
    const { problem, left, ...rest } = result;
    assert.deepEqual(rest, {
      total: 8_995_500_500,
      squares: 3_000,
      last: 2_999 ** 2,
      isSame: true,
      toldAll: 700_000,
      cancelled: 'cancelled',
      file: 'MESH_STORAGE_FAILED',
      stranger: 'MESH_NOT_AUTHORIZED',
    });
    assert.equal((problem as { code: string }).code, 'MESH_TASK_THREW');
    assert.match((problem as { message: string }).message, /list is not defined|'list' is not defined/);
    assert.match((problem as { message: string }).message, /sees nothing from outside of itself/);
    assert.deepEqual(left, []);
    assert.equal(phases.at(-1), 'done 1');
    assert.equal(bar, 1);
  }

  it('submits a job over a WebSocket, shows its progress and its result', async () => {
    const plain = connection.replace(/&?ca=[^&]+/, '');
    assertDone(await open({ connection: plain, url: `ws://127.0.0.1:${webSocketPort}/mqtt` }));
  });

  it('does so over TLS, on the port that the connection string names', async () => {
    assertDone(await open({ connection }));
  });
});

/** Chromium gives up a navigation when any interface of the machine, a container's say, comes or goes meanwhile: whoever sits before it tries again. */
async function visit(context: BrowserContext, url: string): Promise<Page> {
  return until(`${url} is open`, async () => {
    const page = await context.newPage();
    try {
      await page.goto(url);
      return page;
    } catch (error) {
      if (!String(error).includes('ERR_NETWORK_CHANGED')) throw error;
      await page.close();
      return undefined;
    }
  });
}

function commandPath(command: string): string {
  const { stdout } = spawnSync('sh', ['-c', `command -v ${command}`], { encoding: 'utf8' });
  return stdout.trim();
}

/** An address at which others could reach this machine. */
function outerAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outer = all.find(({ family, internal }) => family === 'IPv4' && !internal);
  assert.ok(outer, 'a network interface besides loopback');
  return outer.address;
}
