import { parentPort, workerData } from 'node:worker_threads';
import { fuzz } from '../search/fuzz.ts';

const { fromSeed, seeds } = workerData as { fromSeed: number; seeds: number };
parentPort!.postMessage(fuzz({ fromSeed, seeds, goOn: () => true, stopAtFirst: true }));
