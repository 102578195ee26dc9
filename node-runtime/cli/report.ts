import { MeshError } from '../contract/index.ts';
import { exitCodeOf } from './exit-codes.ts';
import type { Output } from './io.ts';
import type { Paint } from './style.ts';
import { printable } from './text.ts';

/** An error as a person or a program is shown it. */
export interface Report {
  readonly code: string;
  readonly message: string;
  readonly where?: string | undefined;
  readonly mend?: string | undefined;
}

/** Several errors at once: all that is wrong with a job file. */
export class MeshErrors extends AggregateError {
  override readonly errors: MeshError[];

  constructor(errors: readonly MeshError[]) {
    super(errors, errors.map((error) => error.toLine()).join('\n'));
    this.errors = [...errors];
  }
}

/** By its shape: a package that was installed apart has a class of its own. */
function isMeshError(error: unknown): error is MeshError {
  return error instanceof Error && error.name === 'MeshError' && typeof (error as { code?: unknown }).code === 'string';
}

export function reportsOf(error: unknown): Report[] {
  if (error instanceof MeshErrors) return error.errors.flatMap(reportsOf);
  if (isMeshError(error)) {
    const { code, message, where, mend } = error;
    return [{ code, message, ...(where === undefined ? {} : { where }), ...(mend === undefined ? {} : { mend }) }];
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [{ code: 'INTERNAL', message, mend: 'this is a bug in foremesh: please report it' }];
}

/** One line `where: message (CODE)` and the mend below it. */
export function reportLines({ where, message, code, mend }: Report, paint: Paint): string[] {
  const place = where === undefined ? '' : `${where}: `;
  const first = `${printable(place + message)} ${paint('dim', `(${code})`)}`;
  return mend === undefined ? [first] : [first, `  ${printable(mend)}`];
}

/** Prints what went wrong; returns the exit code. */
export function reportError(error: unknown, output: Output, paint: Paint, json: boolean): number {
  const reports = reportsOf(error);
  for (const report of reports) {
    if (json) output.write(`${JSON.stringify({ error: report })}\n`);
    else output.write(`${reportLines(report, paint).join('\n')}\n`);
  }
  return exitCodeOf(reports[0]!.code);
}

export function usageError(message: string, mend?: string): MeshError {
  return new MeshError('MESH_USAGE', message, mend === undefined ? {} : { mend });
}
