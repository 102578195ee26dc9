import type { Command } from 'commander';
import type { JobSpec } from '../contract/index.ts';
import { checkIdentifier } from '../contract/index.ts';
import type { MeshClient } from '../sdk/index.ts';
import type { Session } from './context.ts';
import { findAuthor } from './extensions.ts';
import { followJob, untilInterrupted } from './follow.ts';
import { findJobFile, type JobFile, loadJobFile } from './job-file.ts';
import { type BundledCode, bundleFiles, fillSpec, type UploadProgress } from './job-payload.ts';
import { Live } from './live.ts';
import { renderUploads } from './progress.ts';
import { usageError } from './report.ts';
import { openKeys, signSpec } from './sign-code.ts';
import { bytesText } from './text.ts';

export interface SubmitOptions {
  readonly input: readonly string[];
  readonly param: readonly string[];
  readonly out?: string;
  readonly detach?: boolean;
  readonly id?: string;
  readonly wait: string;
}

/** The options of `run` and `submit`. */
export function addSubmitOptions(command: Command): Command {
  return addJobOptions(command)
    .option('-o, --out <path>', 'write the result here; a folder for several outputs, or for files that the tasks give')
    .option('--id <id>', 'id of the job; made of its name unless said')
    .option('--wait <seconds>', 'give up when no node has accepted the job for this long', '60');
}

/** Those that say what the job is to read, and with which parameters. */
export function addJobOptions(command: Command): Command {
  return command
    .option(
      '-i, --input <[stage=]files>',
      'what a stage reads (the stage may be left out when only one can); repeat. With `split: files` also a pattern, in quotes',
      collect,
      [],
    )
    .option(
      '-p, --param <[stage.]name=values>',
      'a parameter; with several values (a,b,c or 1..10) a task for each combination; repeat',
      collect,
      [],
    );
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

export async function submitJob(session: Session, what: string, options: SubmitOptions): Promise<void> {
  const acceptWithinMs = millisecondsOf(options.wait);
  if (options.id !== undefined) checkIdentifier(options.id, '--id');
  if (options.detach === true && options.out !== undefined) {
    throw usageError('--detach and --out exclude each other', 'later: foremesh job ID --follow --out FILE');
  }
  // Everything that can be wrong on this side is found before the mesh is asked for anything.
  const { job, keys, bundled } = await readJob(session, what, options);
  await session.withMesh(async (client) => {
    const unsigned = await untilInterrupted(session, () => upload(session, client, job, bundled));
    const spec = await signSpec(job, unsigned, keys);
    const { makeJobId } = await import('../sdk/index.ts');
    const handle = client.submit(spec, {
      id: options.id ?? makeJobId(job.name, Math.random, spec.schedule !== undefined),
      acceptWithinMs,
    });
    if (session.json) session.printJson({ event: 'submitted', account: handle.account, job: handle.job });
    // A schedule has no end to wait for.
    if (options.detach !== true && spec.schedule === undefined) return followJob(session, client, handle, options.out);
    const state = await untilInterrupted(session, () => handle.accepted());
    if (session.json) session.printJson({ event: 'state', state });
    else session.print(handle.job);
    const more =
      spec.schedule === undefined ? `foremesh job ${handle.job} --follow` : `foremesh job ${handle.job}, foremesh jobs`;
    session.tell(`${state.phase}; ${more}`);
    handle.close();
  });
}

/** A job file with all that it names, its code bundled. */
export async function readJob(session: Session, what: string, options: Pick<SubmitOptions, 'input' | 'param'>) {
  const { directory } = session.io;
  const file = await findJobFile(what, directory);
  const job = await loadJobFile(file, { directory, inputs: options.input, parameters: options.param });
  const keys = await openKeys(session.home, job);
  const bundled = await bundleFiles(job, await findAuthor());
  for (const { message, where } of bundled.warnings) session.tell(`${where ?? file}: warning: ${message}`);
  return { job, keys, bundled };
}

async function upload(session: Session, client: MeshClient, job: JobFile, bundled: BundledCode): Promise<JobSpec> {
  const live = new Live(session.io.stderr);
  const uploads = new Map<string, UploadProgress>();
  const note = (progress: UploadProgress) => {
    uploads.set(progress.shown, progress);
    if (session.json) return;
    live.show({
      lines: (columns) => renderUploads([...uploads.values()], { columns, paint: session.paintErr }),
      plain: () => [...uploads.values()].map(plainUpload).join(', '),
    });
  };
  try {
    return await fillSpec(job, bundled, (source, options) => client.put(source, options), note);
  } finally {
    live.drop();
  }
}

function plainUpload({ shown, doneBytes, totalBytes }: UploadProgress): string {
  return `${shown} ${bytesText(doneBytes)} of ${bytesText(totalBytes)}`;
}

function millisecondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 1_000_000)) throw usageError(`--wait takes seconds, not "${text}"`);
  return seconds * 1_000;
}
