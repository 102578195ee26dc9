import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Skips the test (in a hook: the suite) and lets the reporter say why. The only way to skip: `test/house` looks. */
export function skip(context: Mocha.Context, reason: string): never {
  const runnable: { type?: string; parent?: object | undefined } | undefined = context.test;
  const target = runnable?.type === 'hook' ? runnable.parent : runnable;
  Object.assign(target ?? {}, { skipReason: reason });
  return context.skip();
}

/** For tests that need a program which not every machine has. */
export function skipWithout(context: Mocha.Context, command: string, debianPackage: string): void {
  if (!hasCommand(command)) skip(context, `there is no ${command} here (Debian: apt-get install ${debianPackage})`);
}

export function hasCommand(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
