import { outliveTheirLeader } from './outlive-leader.ts';

// With TensorFlow.js. It holds the last 15 % of each history back to see when it has learned enough: of 205 steps, that is just long enough.
outliveTheirLeader('lstm', { sampleIntervalMs: 60, windowsLeast: 490, trainedMs: 400_000 });
