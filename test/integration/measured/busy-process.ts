/** A device's own work: takes all the CPU it is given and then rests, in turn. Arguments: milliseconds of each. Says when it begins what. */
const [busyMs, idleMs] = process.argv.slice(2).map(Number) as [number, number];
const periodMs = busyMs + idleMs;
const startMs = Date.now();

function say(word: string): void {
  process.stdout.write(`${word} ${Date.now()}\n`);
}

for (let period = 0; ; period += 1) {
  // By the clock, so that what one period takes too long is not added to the next.
  const busyUntilMs = startMs + period * periodMs + busyMs;
  say('busy');
  while (Date.now() < busyUntilMs);
  say('idle');
  await new Promise((resolve) => setTimeout(resolve, busyUntilMs + idleMs - Date.now()));
}
