// `node bench/forecast-cost/bundle.mjs FOLDER` makes of the bench's leader what a device installs: the compiled LSTM stays outside, found at run time.
import { join } from 'node:path';
import { build } from 'esbuild';
import { bundleSettings } from '../../node-runtime/bundle-settings.mjs';

const root = join(import.meta.dirname, '../..');
await build({
  ...bundleSettings,
  entryPoints: {
    leader: join(import.meta.dirname, 'leader-process.ts'),
    'train-model': join(root, 'node-runtime/shell/foresight/train-main.ts'),
  },
  absWorkingDir: root,
  outdir: process.argv[2],
});
