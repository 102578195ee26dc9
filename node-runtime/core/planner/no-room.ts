import type { DeviceOffer, Refusal, TaskNeeds } from '@foremesh/partitioner';
import { type CodeReference, type Problem, trustMend, untrusted } from '../../contract/index.ts';
import type { StagePlan } from '../job-plan.ts';
import type { NodeView, PlannerState, StageView } from './state.ts';

/** Nodes that a message about a lack of room names one by one. */
const nodesNamedMost = 8;

type Refusals = readonly { readonly device: string; readonly refusal: Refusal }[];
type Lack = Exclude<Refusal, 'busy' | 'withheld'>;
/** A stage, as far as it is known: of a job that is not there yet its plan alone. */
type StageKnown = Pick<StageView, 'plan' | 'codeRefusals'>;

/** What tasks of a stage that run this code, a part's or the merge's, ask of any node. */
export function wantedBy({ labels, limits }: StagePlan, { engine, manifest }: CodeReference): TaskNeeds {
  const { key, capabilities = [] } = manifest ?? {};
  const needsTrust = key === undefined ? { capabilities } : { key, capabilities };
  const { memoryBytes } = limits;
  return { engine, labels, memoryBytes, needsTrust: engine === 'node' ? needsTrust : undefined };
}

/** What a node offers that changes with its status alone; whose code it has refused itself it does not trust. */
export function offeredBy(
  { status }: NodeView,
  { codeRefusals }: Pick<StageView, 'codeRefusals'>,
): Required<DeviceOffer> {
  const { node, engines, labels, onlyLabels, offeredMemoryBytes, slots } = status;
  const trusts = codeRefusals?.has(node) === true ? undefined : status.trusts;
  return { engines, labels, trusts, onlyLabels, isWithheld: slots === 0, offeredMemoryBytes };
}

/** What keeps a stage's code from a node until the node offers something else, that it offers no slots now aside; undefined: nothing. */
export function lackOf(
  { policy }: Pick<PlannerState, 'policy'>,
  node: NodeView,
  stage: StageKnown,
  code: CodeReference,
): Lack | undefined {
  const refusal = policy.refusal(wantedBy(stage.plan, code), offeredBy(node, stage));
  return refusal === 'withheld' ? undefined : refusal;
}

/** That in words, and what would mend it. */
export function lackText(
  lack: Lack,
  { status }: NodeView,
  { plan, codeRefusals }: StageKnown,
  { engine, manifest }: CodeReference,
): { readonly text: string; readonly mend?: string } {
  const { labels, limits } = plan;
  switch (lack) {
    case 'engine':
      return { text: `has no engine ${engine}` };
    case 'trust': {
      const refused = codeRefusals?.get(status.node);
      if (refused !== undefined) return { text: refused };
      const { text } = untrusted(manifest, status.trusts ?? [])!;
      return manifest === undefined ? { text } : { text, mend: trustMend(manifest, status.node) };
    }
    case 'labels': {
      const missing = labels.filter((label) => !status.labels.includes(label));
      return { text: `lacks ${missing.join(', ')}`, mend: `start it with --labels ${labels.join(',')}` };
    }
    case 'memory': {
      const text = `offers ${mebibytes(status.offeredMemoryBytes)}, the task may use ${mebibytes(limits.memoryBytes)}`;
      return { text, mend: 'give it a larger share, or lower limits.memory of the stage' };
    }
    case 'reserved':
      return { text: `takes only what asks for ${status.onlyLabels!.join(', ')}` };
  }
}

export function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}

/** What keeps a task of that code off every node until one offers something else; undefined: some are busy. */
export function refusedForGood(
  state: PlannerState,
  stage: StageView,
  code: CodeReference,
  refusals: Refusals,
): Problem | undefined {
  const said: string[] = [];
  for (const { device, refusal } of refusals) {
    if (refusal === 'busy') return undefined;
    const node = state.nodes.get(device)!;
    const withheld = node.status.withheld?.text ?? 'offers no slots';
    said.push(`${device}: ${refusal === 'withheld' ? withheld : lackText(refusal, node, stage, code).text}`);
  }
  const isOnline = [...state.nodes.values()].some((node) => node.online);
  const none = isOnline ? 'no node has said yet what it has in hand' : 'no node is online';
  return fitsNoNode(stage.plan.stage, said, none, trustMendOf(stage, code, refusals) ?? `${startMend}; the job waits`);
}

const startMend = 'start a node that can take it (`foremesh node`), or lower what the stage asks for';

/** `said` is what keeps it from each node; `none`, that there is no node. */
export function fitsNoNode(stage: string, said: readonly string[], none: string, mend = startMend): Problem {
  const named = said.slice(0, nodesNamedMost);
  if (said.length > named.length) named.push(`and ${said.length - named.length} more`);
  const why = said.length === 0 ? none : named.join('; ');
  return { code: 'MESH_NO_ROOM', message: `stage ${stage} fits no node (${why})`, mend };
}

/** When nothing but trust keeps it from a node. */
function trustMendOf(stage: StageView, { manifest }: CodeReference, refusals: Refusals): string | undefined {
  const distrusting = refusals.filter(({ refusal }) => refusal === 'trust').map(({ device }) => device);
  const device = distrusting.find((each) => stage.codeRefusals?.has(each) !== true);
  if (distrusting.length === 0) return undefined;
  if (manifest === undefined) return 'sign it: `foremesh keys new`, then submit it with `foremesh submit`';
  if (device === undefined)
    return 'what each node says mends it there; then submit it again, or give other nodes trust';
  return `\`${trustMend(manifest, device)}\`, if its owner wants that; the job waits`;
}
