import { readFileSync } from 'node:fs';
import { access, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MeshError } from '../../contract/index.ts';
import { parseCpuList } from './cpu-list.ts';

/** What a cgroup may use, as far as it says. */
export interface CgroupCapacity {
  /** Cores: what its quota allows, and no more than it may run on. */
  readonly cores?: number;
  readonly memoryBytes?: number;
}

export interface CgroupReading {
  /** CPU time of all that ever ran in it or below, milliseconds. */
  readonly cpuMs: number;
  /** What it keeps: file pages that the kernel would give back are not counted. Absent when it does not account for memory. */
  readonly memoryUsedBytes?: number;
}

/** Where a cgroup is, per controller; of version 2 there is one directory for all. */
type Controller = 'cpu' | 'cpuacct' | 'cpuset' | 'memory';
interface Hierarchy {
  readonly version: 1 | 2;
  readonly mount: string;
  /** Where this very process is in it. */
  readonly own: string;
  readonly controllers: readonly string[];
}

/** No limit, as version 1 says it: the greatest multiple of a page. */
const noLimitBytes = 2 ** 62;
const controllersKnown: readonly Controller[] = ['cpu', 'cpuacct', 'cpuset', 'memory'];

/** One control group: version 1, with a directory per controller, or version 2. Reads and writes files alone. */
export class Cgroup {
  readonly name: string;
  readonly version: 1 | 2;
  readonly #directories: ReadonlyMap<Controller, string>;
  readonly #mounts: ReadonlyMap<Controller, string>;

  private constructor(name: string, version: 1 | 2, found: readonly (readonly [Controller, string, string])[]) {
    this.name = name;
    this.version = version;
    this.#directories = new Map(found.map(([controller, directory]) => [controller, directory]));
    this.#mounts = new Map(found.map(([controller, , mount]) => [controller, mount]));
  }

  /**
   * Looks below the cgroup that this process is in, then from the top of each hierarchy. Throws `MESH_CONFIG_INVALID` when it
   * is nowhere, or nothing there counts CPU time.
   *
   * @param root `/` unless a test brings recorded files
   */
  static async find(name: string, root = '/'): Promise<Cgroup> {
    if (!/^[^/\s]+(\/[^/\s]+)*$/.test(name) || name.split('/').some((each) => each === '.' || each === '..')) {
      throw new MeshError('MESH_CONFIG_INVALID', `"${name}" is no name of a cgroup`, {
        mend: 'give it as in /sys/fs/cgroup',
      });
    }
    const hierarchies = readHierarchies(root);
    const searched: string[] = [];
    const found: [Controller, string, string, 1 | 2][] = [];
    for (const { version, mount, own, controllers } of hierarchies) {
      for (const controller of controllersKnown) {
        if (version === 1 ? !controllers.includes(controller) : found.some(([each]) => each === controller)) continue;
        for (const directory of new Set([join(mount, own, name), join(mount, name)])) {
          if (!searched.includes(directory)) searched.push(directory);
          if (!(await isThere(join(directory, 'cgroup.procs')))) continue;
          found.push([controller, directory, mount, version]);
          break;
        }
      }
    }
    const counts = found.find(([controller]) => controller === 'cpuacct');
    if (counts === undefined) {
      const where = searched.filter((directory) => !/cpuset|memory/.test(directory)).slice(0, 4);
      throw new MeshError('MESH_CONFIG_INVALID', `there is no cgroup "${name}" that counts CPU time`, {
        where: where.join(', ') || '/sys/fs/cgroup',
        mend:
          where.length === 0
            ? 'this system has no cgroups: try cpus:LIST'
            : `make it: mkdir ${where[where.length - 1]}`,
      });
    }
    const version = counts[3];
    return new Cgroup(
      name,
      version,
      found.filter((each) => each[3] === version).map(([a, b, c]) => [a, b, c] as const),
    );
  }

  async capacity(): Promise<CgroupCapacity> {
    const cores = [await this.#quotaCores(), await this.#cpus()].filter((each) => each !== undefined);
    const memoryBytes = await this.#memoryLimit();
    return {
      ...(cores.length === 0 ? {} : { cores: Math.min(...cores) }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    };
  }

  /** Throws when the cgroup is gone. */
  async read(): Promise<CgroupReading> {
    const [usage, used] = await Promise.all([
      this.#text('cpuacct', this.version === 1 ? 'cpuacct.usage' : 'cpu.stat', true),
      this.#memoryUsed(),
    ]);
    const cpuMs = this.version === 1 ? Number(usage) / 1e6 : fieldOf(usage!, 'usage_usec') / 1e3;
    return { cpuMs, ...(used === undefined ? {} : { memoryUsedBytes: used }) };
  }

  /** Puts this process in, and so all that it starts from now on. Throws `MESH_CONFIG_INVALID` when it may not. */
  async enter(processId: number): Promise<void> {
    for (const directory of new Set(this.#directories.values())) {
      const file = join(directory, 'cgroup.procs');
      const members = (await readFile(file, 'utf8')).split('\n');
      if (members.includes(String(processId))) continue;
      try {
        await writeFile(file, String(processId));
      } catch (error) {
        throw new MeshError('MESH_CONFIG_INVALID', `cannot enter the cgroup: ${(error as Error).message}`, {
          where: file,
          mend: 'give the user of the node the right to write there, or start the node in it',
          cause: error,
        });
      }
    }
  }

  /** The least of its own and of all above it. */
  #least(controller: Controller, of: (directory: string) => Promise<number | undefined>): Promise<number | undefined> {
    const mount = this.#mounts.get(controller);
    const collect = async (directory: string): Promise<number | undefined> => {
      const [here, above] = [await of(directory), directory === mount ? undefined : await collect(dirname(directory))];
      return here === undefined || above === undefined ? (here ?? above) : Math.min(here, above);
    };
    const directory = this.#directories.get(controller);
    return directory === undefined ? Promise.resolve(undefined) : collect(directory);
  }

  #quotaCores(): Promise<number | undefined> {
    return this.#least('cpu', async (directory) => {
      if (this.version === 2) {
        const [quota, period] = ((await text(join(directory, 'cpu.max'))) ?? 'max').trim().split(' ');
        return quota === 'max' ? undefined : positive(Number(quota) / Number(period));
      }
      const quota = await text(join(directory, 'cpu.cfs_quota_us'));
      const period = await text(join(directory, 'cpu.cfs_period_us'));
      return positive(Number(quota ?? -1) / Number(period));
    });
  }

  async #cpus(): Promise<number | undefined> {
    const name = this.version === 1 ? 'cpuset.effective_cpus' : 'cpuset.cpus.effective';
    const list = (await this.#text('cpuset', name)) ?? (await this.#text('cpuset', 'cpuset.cpus'));
    return parseCpuList(list ?? '')?.length;
  }

  #memoryLimit(): Promise<number | undefined> {
    const name = this.version === 1 ? 'memory.limit_in_bytes' : 'memory.max';
    return this.#least('memory', async (directory) => {
      const bytes = positive(Number((await text(join(directory, name))) ?? 'max'));
      return bytes === undefined || bytes >= noLimitBytes ? undefined : bytes;
    });
  }

  async #memoryUsed(): Promise<number | undefined> {
    const [current, inactive] =
      this.version === 1 ? ['memory.usage_in_bytes', 'total_inactive_file'] : ['memory.current', 'inactive_file'];
    const used = Number((await this.#text('memory', current!)) ?? Number.NaN);
    if (Number.isNaN(used)) return undefined;
    const stat = (await this.#text('memory', 'memory.stat')) ?? '';
    return Math.max(0, used - (fieldOf(stat, inactive!) || 0));
  }

  async #text(controller: Controller, name: string, needed = false): Promise<string | undefined> {
    const directory = this.#directories.get(controller);
    if (directory === undefined) return undefined;
    return needed ? readFile(join(directory, name), 'utf8') : text(join(directory, name));
  }
}

/** From `/proc/self/mounts` where each hierarchy is, from `/proc/self/cgroup` where in it this process is. Version 1 first. */
function readHierarchies(root: string): Hierarchy[] {
  const lines = (file: string): string[] => {
    try {
      return readFileSync(join(root, file), 'utf8').split('\n');
    } catch {
      return []; // no such system
    }
  };
  const owns = lines('proc/self/cgroup').map((line) => /^(\d+):([^:]*):(.*)$/.exec(line));
  const found: Hierarchy[] = [];
  for (const line of lines('proc/self/mounts')) {
    const [, mount = '', type, options = ''] = line.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    const controllers = options.split(',');
    const own = owns.find((each) =>
      type === 'cgroup2'
        ? each?.[1] === '0'
        : each?.[2]?.split(',').some((name) => name !== '' && controllers.includes(name)),
    );
    found.push({ version: type === 'cgroup2' ? 2 : 1, mount: join(root, mount), own: own?.[3] ?? '/', controllers });
  }
  return found.sort((a, b) => a.version - b.version);
}

function fieldOf(stat: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? Number.NaN);
}

function positive(value: number): number | undefined {
  return value > 0 && Number.isFinite(value) ? value : undefined;
}

async function text(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
