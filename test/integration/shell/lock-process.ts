import { lockHome } from '../../../node-runtime/shell/lock.ts';

/** Locks a home and waits to be killed. */
await lockHome(process.argv[2]!);
process.stdout.write('locked\n');
setInterval(() => undefined, 60_000);
