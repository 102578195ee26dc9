import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { limits } from '../../contract/limits.ts';
import { entryBeside, type SandboxEntry } from '../sandbox-launch.ts';

/** How the processes of engine `node` are kept apart from the machine. */
export type Containment =
  /** Namespaces of their own, and a file system of their own with the system's programs in it, read-only. */
  | { readonly kind: 'namespaces' }
  /** Nothing but a process group: whoever owns the machine has said so. */
  | { readonly kind: 'none' }
  | { readonly kind: 'refused'; readonly reason: string };

export interface NodeLaunch {
  readonly command: string;
  readonly arguments: readonly string[];
}

const probeMsMost = 10_000;
const unsharePaths = ['/usr/bin/unshare', '/bin/unshare', '/usr/local/bin/unshare'];
/** Where the new root is mounted: what lies there is hidden, from the task alone. */
const mountPoints = ['/mnt', '/media', '/srv', '/opt', '/tmp'];
/** Users that no system gives out: each process is another one, so that none can touch another. */
const firstUser = 0x7000_0000;
const usersMost = 0x0100_0000;
let users = process.pid;

/**
 * The first process of the namespaces: makes a root with the system's programs (read-only), an empty /tmp, /proc and a few
 * devices, runs the program in it without any capability, and ends, and all with it, when the program does or when the other
 * end of descriptor 4 is closed: nobody is there any more. What the program says on standard error goes to descriptor 5: `unshare`
 * and this script have words of their own.
 */
const containedScript = `set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1; scratch=$2; identity=$3; processes=$4; network=$5; visible=$6; shift 6
mount -t tmpfs -o size=1m,mode=755,nosuid,nodev tmpfs "$root"
show() {
  if [ -L "$1" ]; then ln -s "$(readlink "$1")" "$root$1"
  elif [ -d "$1" ]; then mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; mount -o remount,bind,ro,nosuid,nodev "$root$1"
  elif [ -e "$1" ]; then mkdir -p "$root$(dirname "$1")"; : > "$root$1"; mount --bind "$1" "$root$1"; fi
}
mkdir "$root/proc" "$root/dev" "$root/tmp" "$root/etc"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o "size=$scratch,mode=1777,nosuid,nodev" tmpfs "$root/tmp"
for each in /usr /bin /sbin /lib /lib32 /lib64 /etc/ld.so.cache /dev/null /dev/zero /dev/full /dev/random /dev/urandom; do show "$each"; done
if [ "$network" = yes ]; then for each in /etc/resolv.conf /etc/hosts /etc/nsswitch.conf /etc/ssl; do show "$(readlink -f "$each")"; [ -e "$root$each" ] || ln -s "$(readlink -f "$each")" "$root$each"; done; fi
IFS=:
for each in $visible; do [ -e "$root$each" ] || show "$each"; done
unset IFS
mount -o remount,bind,ro,nosuid,nodev "$root"
echo 1000 > /proc/self/oom_score_adj || :
set +e
(read -r word <&4; while :; do kill -9 -1; sleep 1; done) 3<&- 5>&- >/dev/null 2>&1 &
life=$!
mkdir "$root/tmp/task"; chmod 1777 "$root/tmp/task"
cd "$root/tmp/task"
chroot "$root" prlimit "--nproc=$processes" --core=0 setpriv $identity --bounding-set -all --inh-caps -all --no-new-privs env -i -C /tmp/task PATH=/usr/bin:/bin HOME=/tmp "$@" 4<&- 2>&5 5>&- &
wait $!
status=$?
kill -9 $life
exit $status
`;

/** The same without walls: a process group that ends as one. */
const bareScript = `(read -r word <&4; kill -9 -- -$$) 3<&- 5>&- >/dev/null 2>&1 &
"$@" 4<&- 2>&5 5>&- &
wait $!
exit $?
`;

export function defaultNodeEntry(): SandboxEntry {
  return entryBeside(import.meta.url, 'node-task', 'node-main');
}

let known: Promise<Containment> | undefined;

/** Tries once per process whether this system keeps a task apart. */
export function probeContainment(): Promise<Containment> {
  known ??= probe();
  return known;
}

/** Whether Node.js runs there and can read our own program, which may lie in a folder that is closed to others. */
const readable = `try { require('fs').accessSync(process.argv[1], 4) } catch (error) { console.error(error.message); process.exit(1) }`;

async function probe(): Promise<Containment> {
  if (process.platform !== 'linux') return refused(`there are no namespaces on ${process.platform}`);
  if (unshare() === undefined) return refused('the command unshare (util-linux) is not installed');
  const entry = defaultNodeEntry();
  const { command, arguments: words } = containedLaunch(
    [realpathSync(process.execPath), '-e', readable, entry.path],
    [visibleOf(entry)],
    false,
  );
  // As a task is started: descriptor 4 stays open on our side until it has ended.
  const stdio = ['ignore', 'ignore', 'pipe', 'ignore', 'pipe', 'pipe'] as const;
  const child = spawn(command, words, { env: {}, cwd: '/', stdio: [...stdio] });
  const deadline = setTimeout(() => child.kill('SIGKILL'), probeMsMost);
  let stderr = '';
  for (const stream of [child.stderr!, errorsOf(child)])
    stream.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
  const how = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code === 0 ? '' : (signal ?? `exit code ${code}`)));
  });
  clearTimeout(deadline);
  return how === '' ? { kind: 'namespaces' } : refused(stderr.trim().split('\n')[0] || how);
}

/** What the program itself says on standard error; the child's own `stderr` is that of what starts it. */
export function errorsOf(child: ChildProcess): Readable {
  return (child.stdio as readonly unknown[])[5] as Readable;
}

function refused(reason: string): Containment {
  return { kind: 'refused', reason };
}

function unshare(): string | undefined {
  return unsharePaths.find((path) => existsSync(path));
}

/**
 * @param visible files and folders that the program reads, beside the system's own
 * @param network that of the machine; otherwise there is none, not even a loopback
 */
function containedLaunch(words: readonly string[], visible: readonly string[], network: boolean): NodeLaunch {
  const paths = [realpathSync(process.execPath), ...visible];
  const root = mountPoints.find((point) => existsSync(point) && !paths.some((path) => path.startsWith(`${point}/`)));
  const isRoot = process.getuid?.() === 0;
  users = (users + 1) % usersMost;
  const user = firstUser + users;
  const identity = isRoot ? `--reuid ${user} --regid ${user} --clear-groups` : '';
  const namespaces = [...(isRoot ? [] : ['-U', '-r']), '-p', '-f', '-m', '-i', '-u', ...(network ? [] : ['-n'])];
  const settings = [
    root ?? '/mnt',
    String(limits.taskScratchBytes),
    identity,
    String(limits.taskProcesses),
    network ? 'yes' : 'no',
    paths.join(':'),
  ];
  return {
    command: unshare()!,
    arguments: [
      ...namespaces,
      '--kill-child',
      '--propagation',
      'private',
      '/bin/sh',
      '-c',
      containedScript,
      'sh',
      ...settings,
      ...words,
    ],
  };
}

/** The command that runs the entry with so much memory for its heap. */
export function launchOf(
  containment: Containment,
  entry: SandboxEntry,
  { memoryBytes, network }: { readonly memoryBytes: number; readonly network: boolean },
): NodeLaunch {
  const heapMiB = Math.max(16, Math.ceil(memoryBytes / 1024 ** 2));
  const words = [
    realpathSync(process.execPath),
    `--max-old-space-size=${heapMiB}`,
    '--no-warnings',
    ...entry.nodeArguments,
    entry.path,
  ];
  if (containment.kind === 'namespaces') return containedLaunch(words, [visibleOf(entry)], network);
  return { command: '/bin/sh', arguments: ['-c', bareScript, 'sh', ...words] };
}

/** The folder of our own program, and where it is not one file, of what it imports. */
function visibleOf({ path }: SandboxEntry): string {
  const folder = dirname(realpathSync(path));
  if (path.endsWith('.mjs')) return folder;
  let top = folder;
  while (!existsSync(join(top, 'package-lock.json')) && dirname(top) !== top) top = dirname(top);
  return dirname(top) === top ? folder : top;
}
