/** The process `foremesh`. */
import { runCli } from './index.ts';
import { processIo } from './io.ts';

// Started by a supervisor (`foremesh up`): when that is gone, however it went, there is nobody to answer to.
if (process.connected) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
}

process.exitCode = await runCli(process.argv.slice(2), processIo());
