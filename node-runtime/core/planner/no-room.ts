import type { Refusal } from '@foremesh/partitioner';
import { type CodeReference, type Problem, trustMend, untrusted } from '../../contract/index.ts';
import type { PlannerState, StageView } from './state.ts';

/** Nodes that a message about a lack of room names one by one. */
const nodesNamedMost = 8;

type Refusals = readonly { readonly device: string; readonly refusal: Refusal }[];

/** What keeps a task off every node until one offers something else; undefined: some are busy. */
export function refusedForGood(state: PlannerState, stage: StageView, refusals: Refusals): Problem | undefined {
  return refusals.every(({ refusal }) => refusal !== 'busy') ? noRoom(state, stage, refusals) : undefined;
}

function noRoom(state: PlannerState, stage: StageView, refusals: Refusals): Problem {
  const { code, merge, labels, limits: taskLimits } = stage.plan;
  const signed = [code, merge].find((each) => each?.engine === 'node');
  const lacks = {
    engine: `no engine ${code.engine}`,
    trust: '',
    labels: `not all of the labels ${labels.join(', ')}`,
    memory: `offers less than ${Math.ceil(taskLimits.memoryBytes / 1024 ** 2)} MiB`,
  } as const;
  const why = (device: string, refusal: string): string => {
    const { withheld, onlyLabels = [] } = state.nodes.get(device)!.status;
    if (refusal === 'withheld') return withheld?.text ?? 'offers no slots';
    const refused = stage.codeRefusals?.get(device);
    if (refusal === 'trust' && refused !== undefined) return refused;
    if (refusal === 'trust')
      return untrusted(signed?.manifest, state.nodes.get(device)!.status.trusts ?? [])?.text ?? refusal;
    if (refusal === 'reserved') return `takes only what asks for ${onlyLabels.join(', ')}`;
    return lacks[refusal as keyof typeof lacks] ?? refusal;
  };
  const said = refusals.map(({ device, refusal }) => `${device}: ${why(device, refusal)}`);
  const isOnline = [...state.nodes.values()].some((node) => node.online);
  const none = isOnline ? 'no node has said yet what it has in hand' : 'no node is online';
  return fitsNoNode(
    stage.plan.stage,
    said,
    none,
    trustMendOf(stage, signed, refusals) ?? `${startMend}; the job waits`,
  );
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
function trustMendOf(stage: StageView, code: CodeReference | undefined, refusals: Refusals): string | undefined {
  const distrusting = refusals.filter(({ refusal }) => refusal === 'trust').map(({ device }) => device);
  const device = distrusting.find((each) => stage.codeRefusals?.has(each) !== true);
  if (distrusting.length === 0) return undefined;
  if (code?.manifest === undefined) return 'sign it: `foremesh keys new`, then submit it with `foremesh submit`';
  if (device === undefined)
    return 'what each node says mends it there; then submit it again, or give other nodes trust';
  return `\`${trustMend(code.manifest, device)}\`, if its owner wants that; the job waits`;
}
