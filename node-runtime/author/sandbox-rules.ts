import type { Plugin } from 'esbuild';

const taskTypes = '@foremesh/node-runtime/task';

/** What a task may not import, and what is there only as types. */
export const sandboxRules: Plugin = {
  name: 'foremesh-sandbox-rules',
  setup(build) {
    // Types without `type`: under `verbatimModuleSyntax` the import stays, and is empty.
    build.onResolve({ filter: /^@foremesh\/node-runtime\/task$/ }, () => ({
      path: taskTypes,
      namespace: 'foremesh-types',
      sideEffects: false,
    }));
    build.onLoad({ filter: /.*/, namespace: 'foremesh-types' }, () => ({ contents: 'export {}', loader: 'js' }));
    // esbuild would leave these as imports that nobody serves.
    build.onResolve({ filter: /^([a-z][a-z+.-]+:)?\/\/|^(https?|data|blob|file):/i }, ({ path, kind }) =>
      kind === 'entry-point'
        ? undefined
        : {
            errors: [
              {
                text: `"${path}" is an address, and a task has no network\nmend: install it as a package, or save it beside the task and import the file`,
              },
            ],
          },
    );
    build.onResolve({ filter: /\.node$/ }, ({ path }) => ({
      errors: [
        { text: `"${path}" is native code, and a task runs in QuickJS\nmend: use a package written in JavaScript` },
      ],
    }));
  },
};
