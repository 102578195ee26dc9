import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { arch, cpus, platform } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import * as z from 'zod';
import { machineDescription, type NodeStatus } from '../contract/index.ts';
import { calibrate, entryBeside, poolEngines, probeContainment } from '../engines/index.ts';
import { writeDurably } from './durable-file.ts';
import type { Home } from './home.ts';
import { release } from './release.ts';

const facts = z.object({
  measuredOn: z.string(),
  machine: machineDescription,
  speed: z.object({ js: z.number().positive(), wasm: z.number().positive() }),
});
const describeMsMost = 20_000;

/** What the machine is and how fast its engines are; found out once per machine and release, then read back. */
async function describeMachine(home: Home, log: Logger): Promise<Pick<NodeStatus, 'machine' | 'speed'>> {
  const file = join(home.directory, 'node', 'machine.json');
  const measuredOn = `${release} ${arch()} ${cpus()[0]?.model ?? ''}`;
  const known = facts.safeParse(parse(await readFile(file, 'utf8').catch(() => ''))); // absent or unreadable: found out anew
  if (known.success && known.data.measuredOn === measuredOn) {
    const { machine, speed } = known.data;
    return { machine, speed };
  }
  const [machine, speed] = await Promise.all([describe(log), calibrate()]);
  await writeDurably(file, `${JSON.stringify({ measuredOn, machine, speed })}\n`);
  return { machine, speed };
}

/** What does not change while a node runs: its release, its machine, the engines that run here. */
export async function nodeFacts(
  home: Home,
  log: Logger,
  unsandboxed: boolean,
): Promise<Pick<NodeStatus, 'release' | 'arch' | 'platform' | 'engines' | 'machine' | 'speed'>> {
  const [facts, containment] = await Promise.all([describeMachine(home, log), probeContainment()]);
  const hasNode = containment.kind === 'namespaces' || (unsandboxed && platform() !== 'win32');
  if (containment.kind === 'refused') log.info({ unsandboxed }, `engine node: no walls here: ${containment.reason}`);
  // V8 is not measured: between two machines it differs as QuickJS does.
  const speed = hasNode && facts.speed.js !== undefined ? { ...facts.speed, node: facts.speed.js } : facts.speed;
  const engines = [...poolEngines, ...(hasNode ? (['node'] as const) : [])];
  return { release, arch: arch(), platform: platform(), ...facts, engines, speed };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function describe(log: Logger): Promise<z.infer<typeof machineDescription>> {
  const { path, nodeArguments } = entryBeside(import.meta.url, 'describe-machine', 'describe-machine-main');
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...nodeArguments, path], {
      timeout: describeMsMost,
    });
    return machineDescription.parse(JSON.parse(stdout));
  } catch (error) {
    log.warn(`the machine cannot be described: ${(error as Error).message}`);
    return { model: '', cpu: '', system: '' };
  }
}
