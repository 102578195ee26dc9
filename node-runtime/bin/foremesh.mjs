#!/usr/bin/env node
// Committed, since npm does not link a bin that is not built yet.
import { existsSync } from 'node:fs';

const bundle = new URL('../bundle/foremesh.mjs', import.meta.url);

if (existsSync(bundle)) {
  await import(bundle.href);
} else {
  process.stderr.write('foremesh is not built yet: run `npm run build` at the root of the project\n');
  process.exitCode = 1;
}
