import { totalmem } from 'node:os';
import { History } from '../../../node-runtime/shell/history/history.ts';
import { randomOf } from '../../support/generated.ts';

const samplesPerStep = 12;
/** So many steps with little to do, and as many with much. */
const halfSteps = 20;

export interface PastOptions {
  readonly sampleIntervalMs: number;
  /** Minutes, where samples are 5 s apart. */
  readonly steps: number;
  /** When it had much to do: as often as not, unless said. */
  readonly isBusy?: (step: number) => boolean;
}

/** Writes the history of a device that has measured itself until now for so many steps, with work that comes and goes. */
export async function rememberPast(
  directory: string,
  { sampleIntervalMs, steps, isBusy = (step) => Math.floor(step / halfSteps) % 2 === 1 }: PastOptions,
): Promise<void> {
  const problems: string[] = [];
  const history = await History.open({ directory, sampleIntervalMs, onProblem: (text) => void problems.push(text) });
  const { uniform } = randomOf(1);
  let noise = 0;
  const samples = steps * samplesPerStep;
  const beganMs = Date.now() - samples * sampleIntervalMs;
  for (let sample = 0; sample < samples; sample += 1) {
    const step = Math.floor(sample / samplesPerStep);
    if (sample % samplesPerStep === 0) noise = 0.12 * uniform();
    const share = (isBusy(step) ? 0.7 : 0.2) + noise;
    const atMs = sample * sampleIntervalMs;
    const measured = {
      atMs,
      cpuShare: share,
      cpuBackgroundShare: share,
      memoryAvailableBytes: totalmem() * (1 - share),
      memoryMeshBytes: 0,
      networkReceivedBytesPerSecond: 0,
      networkSentBytesPerSecond: 0,
    };
    history.add(measured, beganMs + atMs);
  }
  await history.close();
  if (problems.length > 0) throw new Error(problems.join('; '));
}
