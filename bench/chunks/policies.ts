import { type ChunkDevice, chunkSize, chunkToCopy } from '@foremesh/partitioner';
import { meanLifeSeconds, overheadSeconds, type Policy, type Scenario, type View } from './world.ts';

/** Rates that a policy believes: measured ones where there are any. */
function measuredRate({ done, guess }: View, device: number): number {
  const { items, seconds } = done[device]!;
  return items === 0 ? guess[device]! : items / seconds;
}

const sumOf = (view: View, value: (device: number) => number) => {
  let sum = 0;
  for (let device = 0; device < view.devices; device += 1) if (!view.gone[device]) sum += value(device);
  return sum;
};

/** Everything at once, by guessed speed; what comes back is shared out among those who ask. */
function fixedShares(): Policy {
  const given = new Set<number>();
  let total: number | undefined;
  return (view, asking) => {
    total ??= view.remaining;
    if (given.has(asking)) return view.running.length === 0 || isReturned(view, given) ? view.remaining : undefined;
    given.add(asking);
    const share = view.guess[asking]! / sumOf(view, (device) => view.guess[device]!);
    return given.size === view.devices ? view.remaining : Math.ceil(total * share);
  };
}

const isReturned = (view: View, given: ReadonlySet<number>) => given.size === view.devices && view.remaining > 0;

/** Guided self-scheduling (Polychronopoulos and Kuck 1987). */
function guided(): Policy {
  return (view) => Math.ceil(view.remaining / sumOf(view, () => 1));
}

/** Factoring (Flynn Hummel, Schonberg and Flynn 1992): in batches of half of what remains, shared evenly; `weight` makes it weighted. */
function factoring(weight: (view: View, device: number) => number): Policy {
  let batch = 0;
  let left = 0;
  return (view, asking) => {
    if (left <= 0) {
      batch = Math.ceil(view.remaining / 2);
      left = batch;
    }
    const size = Math.max(
      1,
      Math.round((batch * weight(view, asking)) / sumOf(view, (device) => weight(view, device))),
    );
    left -= size;
    return size;
  };
}

/** The partitioner's own, which is told how often devices leave, and when a device was last seen. */
function own(scenario: Scenario): Policy {
  return (view, asking) => {
    const indexes = Array.from({ length: view.devices }, (_, device) => device).filter((device) => !view.gone[device]);
    const devices = indexes.map(
      (device): ChunkDevice => ({
        itemsPerSecond: measuredRate(view, device),
        isMeasured: view.done[device]!.items > 0,
        overheadSeconds,
        transferSecondsPerItem: view.transferSecondsPerItem[device]!,
        leavesPerSecond: scenario === 'churn' && device > 0 ? 1 / meanLifeSeconds : 0,
      }),
    );
    const me = indexes.indexOf(asking);
    if (view.remaining > 0) return chunkSize(view.remaining, devices, me);
    const running = view.running.map((chunk) => ({
      items: chunk.to - chunk.from,
      ageSeconds: view.nowSeconds - chunk.startedSeconds,
      device: indexes.indexOf(chunk.devices[0]!),
      copies: chunk.devices.length,
      chunk,
    }));
    return chunkToCopy(running, devices, me)?.chunk.chunk;
  };
}

/** By name, the partitioner's own last. */
export const policies: Readonly<Record<string, (scenario: Scenario) => Policy>> = {
  static: fixedShares,
  guided,
  factoring: () => factoring(() => 1),
  weighted: () => factoring((view, device) => view.guess[device]!),
  adaptive: () => factoring(measuredRate),
  foremesh: own,
};
