import { runScenario } from '../run.ts';
import { scenarioOf } from '../scenario/scenario.ts';

export interface Found {
  readonly seed: number;
  readonly checker: string;
  readonly message: string;
}

export interface FuzzOptions {
  readonly fromSeed: number;
  readonly seeds: number;
  /** Whether to go on before another seed: time may be up. */
  readonly goOn: () => boolean;
  readonly onSeed?: (done: number, found: readonly Found[]) => void;
  readonly stopAtFirst?: boolean;
}

export interface FuzzResult {
  readonly seeds: number;
  readonly found: readonly Found[];
}

/** Runs seed after seed. */
export function fuzz({ fromSeed, seeds, goOn, onSeed, stopAtFirst }: FuzzOptions): FuzzResult {
  const found: Found[] = [];
  let done = 0;
  while (done < seeds && goOn()) {
    const seed = fromSeed + done;
    const { violation } = runScenario(scenarioOf(seed));
    done += 1;
    if (violation !== undefined) found.push({ seed, checker: violation.checker, message: violation.message });
    onSeed?.(done, found);
    if (violation !== undefined && stopAtFirst === true) break;
  }
  return { seeds: done, found };
}
