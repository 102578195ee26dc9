/**
 * A device's own work: takes all the CPU it is given for a while and then rests, in turn, by the clock. Arguments: milliseconds of each. After
 * each busy time it says, as a line of JSON, when that began (wall clock, milliseconds) and how much CPU time it got.
 */
const [busyMs, idleMs] = process.argv.slice(2).map(Number) as [number, number];
const startMs = Date.now();
process.stdout.write(`${JSON.stringify({ startMs })}\n`);

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

for (let period = 0; ; period += 1) {
  // What one period takes too long is not added to the next.
  const fromMs = startMs + period * (busyMs + idleMs) + idleMs;
  await new Promise((resolve) => setTimeout(resolve, fromMs - Date.now()));
  const before = cpuMs();
  while (Date.now() < fromMs + busyMs);
  process.stdout.write(`${JSON.stringify({ fromMs, cpuMs: cpuMs() - before })}\n`);
}
