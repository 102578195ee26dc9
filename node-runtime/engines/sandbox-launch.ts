import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** What Node runs in a sandbox process. */
export interface SandboxEntry {
  readonly path: string;
  readonly nodeArguments: readonly string[];
}

export interface LaunchPlan {
  /** What stands before the node command: empty, or `unshare` that gives a network namespace without a network. */
  readonly wrapper: readonly string[];
  readonly network: 'isolated' | 'shared';
  /** Why the network is shared. */
  readonly networkReason?: string;
  readonly dropsPrivileges: boolean;
}

const unsharePaths = ['/usr/bin/unshare', '/bin/unshare', '/usr/sbin/unshare', '/usr/local/bin/unshare'];
const probeMsMost = 5_000;
/** V8's stack, so large that QuickJS's own check (64 KiB of its stack) comes first even in unoptimised code. */
const stackKiB = 3_900;
const stackKiBNeeded = 7_000;

export function defaultEntry(): SandboxEntry {
  return entryBeside(import.meta.url, 'sandbox', 'sandbox-main');
}

/** A program of ours that stands beside the module at `url`: from source in a checkout, bundled, or compiled. */
export function entryBeside(url: string, bundleName: string, sourceName: string): SandboxEntry {
  if (url.endsWith('.ts')) {
    const tsx = pathToFileURL(createRequire(url).resolve('tsx')).href;
    return {
      path: fileURLToPath(new URL(`./${sourceName}.ts`, url)),
      nodeArguments: ['--import', tsx, '--conditions=mesh-source'],
    };
  }
  const bundle = fileURLToPath(new URL(`./${bundleName}.mjs`, url));
  if (existsSync(bundle)) return { path: bundle, nodeArguments: [] };
  return { path: fileURLToPath(new URL(`./${sourceName}.js`, url)), nodeArguments: [] };
}

/** Flags for little memory and few threads: the guest's memory is outside V8's heap. */
export function nodeFlags(): string[] {
  const flags = ['--max-old-space-size=128', '--max-semi-space-size=1', '--v8-pool-size=1', '--no-warnings'];
  return stackIsLarge() ? [...flags, `--stack-size=${stackKiB}`] : flags;
}

function stackIsLarge(): boolean {
  try {
    const soft = /^Max stack size\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === 'unlimited' || Number(soft) >= stackKiBNeeded * 1024;
  } catch {
    return false;
  }
}

let known: Promise<LaunchPlan> | undefined;

/** Tries once per process what this system allows. */
export function planLaunch(): Promise<LaunchPlan> {
  known ??= probe();
  return known;
}

async function probe(): Promise<LaunchPlan> {
  const isRoot = process.getuid?.() === 0;
  const shared = (networkReason: string): LaunchPlan => ({
    wrapper: [],
    network: 'shared',
    networkReason,
    dropsPrivileges: isRoot,
  });
  if (process.platform !== 'linux') return shared(`no network namespaces on ${process.platform}`);
  const unshare = unsharePaths.find((path) => existsSync(path));
  if (unshare === undefined) return shared('the command unshare (util-linux) is not installed');
  const wrapper = [unshare, isRoot ? '-n' : '-rn'];
  try {
    await promisify(execFile)(wrapper[0]!, [wrapper[1]!, process.execPath, '--version'], {
      timeout: probeMsMost,
      env: {},
    });
    return { wrapper, network: 'isolated', dropsPrivileges: isRoot };
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return shared((stderr ?? '').trim().split('\n')[0] || message);
  }
}
