// Task graphs and networks as the partition bench reads them: WfFormat, Standard Task Graphs and graphs with a cost per device.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  buildTaskGraph,
  type GraphEdge,
  problemBySpeeds,
  type SchedulingProblem,
  type TaskGraph,
} from '@foremesh/partitioner';

export interface Instance {
  readonly problem: SchedulingProblem;
  /** Speeds, where the devices differ in nothing else. */
  readonly speeds?: readonly number[];
}

export interface Network {
  readonly speeds: readonly number[];
  readonly bandwidth: readonly (readonly number[])[];
}

interface WeightedGraph {
  readonly graph: TaskGraph;
  readonly workSeconds: readonly number[];
}

/** The folder of the task graphs, or undefined where there is none: `$FOREMESH_DATA/workflows`, else `../shared/data/workflows`. */
export function workflowsFolder(): string | undefined {
  const root = process.env.FOREMESH_DATA ?? resolve(import.meta.dirname, '../../../shared/data');
  const folder = join(root, 'workflows');
  return existsSync(folder) ? folder : undefined;
}

export function readText(file: string): string {
  const bytes = readFileSync(file);
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

export function readNetwork(file: string): Network {
  return JSON.parse(readText(file)) as Network;
}

/** Identical devices between which nothing has to be moved. */
export function identicalDevices(count: number): Network {
  return { speeds: Array(count).fill(1), bandwidth: Array(count).fill(Array(count).fill(Number.POSITIVE_INFINITY)) };
}

/** A graph with its devices: of `network`, or, with a cost per device in the file, those of the file. */
export function readInstance(file: string, network: Network | undefined, linkScale: number): Instance {
  const text = readText(file);
  const json = /\.json(\.gz)?$/.test(file) ? (JSON.parse(text) as CostedFile & WorkflowFile) : undefined;
  if (json?.costOnDevice !== undefined) return costed(json, linkScale);
  if (network === undefined)
    throw new Error(`${file} has work, not costs per device: give --network FILE or --processors N`);
  const { graph, workSeconds } = json === undefined ? readStandardTaskGraph(text) : readWorkflow(json);
  const { speeds, bandwidth } = network;
  return {
    problem: problemBySpeeds(graph, workSeconds, speeds, (from, to) => bandwidth[from]![to]! * linkScale),
    speeds,
  };
}

interface CostedFile {
  readonly tasks: readonly string[];
  readonly costOnDevice?: readonly (readonly number[])[];
  readonly edges: readonly { readonly from: string; readonly to: string; readonly communicationCost: number }[];
}

function costed({ tasks, costOnDevice = [], edges }: CostedFile, linkScale: number): Instance {
  const graph = buildTaskGraph(
    tasks,
    edges.map(({ from, to, communicationCost }) => ({ from, to, sizeBytes: communicationCost })),
  );
  const devices = costOnDevice[0]!.length;
  const secondsPerByte = new Float64Array(devices * devices).fill(1 / linkScale);
  for (let device = 0; device < devices; device += 1) secondsPerByte[device * devices + device] = 0;
  return { problem: { graph, devices, costSeconds: Float64Array.from(costOnDevice.flat()), secondsPerByte } };
}

interface WorkflowFile {
  readonly workflow: {
    readonly specification: {
      readonly tasks: readonly {
        readonly id: string;
        readonly parents?: readonly string[];
        readonly children?: readonly string[];
        readonly inputFiles?: readonly string[];
        readonly outputFiles?: readonly string[];
      }[];
      readonly files?: readonly { readonly id: string; readonly sizeInBytes: number }[];
    };
    readonly execution: { readonly tasks: readonly { readonly id: string; readonly runtimeInSeconds: number }[] };
  };
}

/** WfFormat 1.5: an edge carries the files that the parent has made and the child reads. */
function readWorkflow({ workflow: { specification, execution } }: WorkflowFile): WeightedGraph {
  const sizes = new Map(specification.files?.map(({ id, sizeInBytes }) => [id, sizeInBytes]));
  const runtimes = new Map(execution.tasks.map(({ id, runtimeInSeconds }) => [id, runtimeInSeconds]));
  const byId = new Map(specification.tasks.map((task) => [task.id, task]));
  const edges = new Map<string, GraphEdge>();
  for (const task of specification.tasks) {
    const pairs = [
      ...(task.parents ?? []).map((parent) => [parent, task.id] as const),
      ...(task.children ?? []).map((child) => [task.id, child] as const),
    ];
    for (const [from, to] of pairs) {
      const inputs = new Set(byId.get(to)?.inputFiles);
      const shared = new Set(byId.get(from)?.outputFiles?.filter((each) => inputs.has(each)));
      const sizeBytes = [...shared].reduce((sum, each) => sum + (sizes.get(each) ?? 0), 0);
      edges.set(JSON.stringify([from, to]), { from, to, sizeBytes });
    }
  }
  return {
    graph: buildTaskGraph([...byId.keys()], [...edges.values()]),
    workSeconds: [...byId.keys()].map((id) => runtimes.get(id) ?? 0),
  };
}

/** `id time predecessorCount predecessors...`, two dummies of no time included (Tobita and Kasahara 2002). */
function readStandardTaskGraph(text: string): WeightedGraph {
  const rows = text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  const edges = rows.flatMap(([to, , , ...before]) => before.map((from) => ({ from, to: to!, sizeBytes: 0 })));
  return {
    graph: buildTaskGraph(
      rows.map(([id]) => id!),
      edges,
    ),
    workSeconds: rows.map(([, time]) => Number(time)),
  };
}
