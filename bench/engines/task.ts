import { calibrationModule } from '../../node-runtime/engines/index.ts';

/** What every engine has to come to: 96 times 8,192 numbers drawn, sorted by heap and summed. */
export const checksum = '1165415688';

/** The task of `node-runtime/engines/wasm/calibration.c`, line by line, in JavaScript. */
const body = `
const cells = 8192;
const rounds = 96;
const table = new Uint32Array(cells);
let state = 1;
function step() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state >>> 8;
}
function sift(from, end) {
  for (let child; (child = 2 * from + 1) < end; from = child) {
    if (child + 1 < end && table[child + 1] > table[child]) child++;
    if (table[from] >= table[child]) return;
    const cell = table[from];
    table[from] = table[child];
    table[child] = cell;
  }
}
function sortRound(sum) {
  for (let i = 0; i < cells; i++) table[i] = step();
  for (let i = cells / 2; i-- > 0;) sift(i, cells);
  for (let end = cells; end-- > 1;) {
    const cell = table[0];
    table[0] = table[end];
    table[end] = cell;
    sift(0, end);
  }
  for (let i = 0; i < cells; i++) sum = (Math.imul(sum, 31) + table[i]) >>> 0;
  return sum;
}
function run() {
  state = 1;
  let sum = 0;
  for (let i = 0; i < rounds; i++) sum = sortRound(sum);
  return String(sum);
}
`;

export const codes = {
  js: Buffer.from(`${body}\nexport default (task) => task.text(run());\n`),
  wasm: calibrationModule(),
  /** Runs as often as it is told, and says how long each run took and what came out. */
  v8: `${body}
const runs = [];
for (let i = 0; i < Number(process.argv[1]); i++) {
  const cpu = process.cpuUsage();
  const began = performance.now();
  const value = run();
  const { user, system } = process.cpuUsage(cpu);
  runs.push({ value, wallMs: performance.now() - began, cpuMs: (user + system) / 1000 });
}
console.log(JSON.stringify(runs));
`,
} as const;
