import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { MeshPlace } from '../../contract/index.ts';
import type { Home } from '../../shell/home.ts';
import { bytesText, durationText } from '../text.ts';
import type { Findings } from './finding.ts';

/** Below these the disk is nearly full. */
const freeBytes = { warning: 512 * 1024 ** 2, problem: 64 * 1024 ** 2 };
/** A commit waits for one fsync at the leader and one at most of the other voters. */
const slowFsyncMs = 100;
const certificateDays = 7;
const fsyncs = 8;
const fsyncBytes = 4_096;
/** `f_type` of file systems that live in memory (statfs(2)). */
const inMemory = [0x01021994, 0x858458f6];

/** The home: who else can read its secrets, how much room its disk has, and what an fsync costs and is worth there. */
export async function checkHome(home: Home, findings: Findings): Promise<void> {
  const { directory } = home;
  if (!existsSync(directory)) {
    findings.add('home', 'ok', `this machine keeps no mesh: ${directory} is not there`);
    return;
  }
  await checkPermissions(home, findings);
  await checkDisk(directory, findings);
  await checkFsync(directory, findings);
}

async function checkPermissions({ directory }: Home, findings: Findings): Promise<void> {
  const secrets = ['node.key', 'connection', 'accounts.json', 'ca.key', 'membership.json'];
  const found = (await readdir(directory)).filter((name) => secrets.includes(name));
  const open = await Promise.all(found.map(async (name) => ((await stat(join(directory, name))).mode & 0o077) !== 0));
  const readable = found.filter((_, index) => open[index]);
  if (readable.length > 0) {
    const paths = readable.map((name) => join(directory, name));
    const text = `others on this machine can read ${readable.join(', ')}`;
    findings.add('permissions', 'problem', text, `chmod 600 ${paths.join(' ')}`);
  } else findings.add('permissions', 'ok', `secrets in ${directory} are for their owner alone`);
  const { uid } = await stat(directory);
  const user = process.getuid?.();
  if (user !== undefined && user !== 0 && user !== uid)
    findings.add(
      'owner',
      'problem',
      `${directory} belongs to user ${uid}, and this is user ${user}`,
      `run as its owner`,
    );
}

async function checkDisk(directory: string, findings: Findings): Promise<void> {
  const { bavail, blocks, bsize, type } = await statfs(directory);
  const [free, all] = [bavail * bsize, blocks * bsize];
  const text = `${bytesText(free)} free of ${bytesText(all)}`;
  const mend =
    'make room: `du -sh` on the home shows what is large; node/blobs is a cache and may be deleted while the node is stopped';
  if (free < freeBytes.problem) findings.add('disk', 'problem', text, mend);
  else if (free < freeBytes.warning) findings.add('disk', 'warning', text, mend);
  else findings.add('disk', 'ok', text);
  if (inMemory.includes(type))
    findings.add(
      'disk',
      'warning',
      `${directory} is in memory: a restart of the machine loses all`,
      'use a home on a disk',
    );
}

/** A real one, where the log would be: its length, not whether the disk tells the truth. */
async function checkFsync(directory: string, findings: Findings): Promise<void> {
  const path = join(directory, `.doctor-${process.pid}`);
  try {
    await mkdir(directory, { recursive: true });
    const file = await open(path, 'w', 0o600);
    const tookMs: number[] = [];
    try {
      for (let round = 0; round < fsyncs; round += 1) {
        const fromMs = performance.now();
        await file.write(Buffer.alloc(fsyncBytes, round));
        await file.sync();
        tookMs.push(performance.now() - fromMs);
      }
    } finally {
      await file.close();
      await rm(path, { force: true });
    }
    const median = tookMs.sort((a, b) => a - b)[fsyncs / 2]!;
    const text = `4 KiB are on the disk after ${durationText(median)} (the slowest of ${fsyncs}: ${durationText(tookMs.at(-1)!)})`;
    if (median > slowFsyncMs)
      findings.add(
        'fsync',
        'warning',
        text,
        'a voter here makes every commit wait: `foremesh node --no-lead`, or a faster disk',
      );
    else findings.add('fsync', 'ok', text);
  } catch (error) {
    findings.add(
      'fsync',
      'problem',
      `the disk takes no writes: ${(error as Error).message}`,
      'make room, or look at `dmesg`',
    );
  }
}

/** A node renews its certificate by itself; one that is about to end has not been able to for long. */
export function checkCertificate(certificate: string, findings: Findings): void {
  const leftMs = Date.parse(new X509Certificate(certificate).validTo) - Date.now();
  const days = Math.floor(leftMs / 86_400_000);
  const mend = 'let the node reach its broker; when it has ended: `foremesh invite` on the hub, and join again';
  if (leftMs <= 0) findings.add('certificate', 'problem', 'the certificate of this node has ended', mend);
  else if (days < certificateDays) findings.add('certificate', 'warning', `it ends in ${days} days`, mend);
  else findings.add('certificate', 'ok', `good for ${days} days; it renews itself`);
}

/** On the machine of the broker: whether anybody listens on its port. */
export async function checkPort(
  home: Home,
  { port }: MeshPlace,
  isReached: boolean,
  findings: Findings,
): Promise<void> {
  if (!existsSync(home.meshFile)) return;
  if (isReached) findings.add('listening', 'ok', `the broker of this home listens on port ${port}`);
  else if (await isFree(port))
    findings.add(
      'listening',
      'problem',
      `the broker of this home does not run: nobody listens on port ${port}`,
      '`foremesh up`, or `foremesh broker`',
    );
  else
    findings.add(
      'listening',
      'problem',
      `something else has port ${port}, or the broker listens on another address`,
      `\`ss -ltnp | grep ${port}\` shows what; \`foremesh broker --help\` says how to take another`,
    );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false)).listen(port, () => server.close(() => resolve(true)));
  });
}
