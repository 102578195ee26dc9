import type { Command } from 'commander';
import type { JobSpec } from '../../contract/index.ts';
import { checkIdentifier } from '../../contract/index.ts';
import type { MeshClient } from '../../sdk/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { findAuthor } from '../extensions.ts';
import { followJob, untilInterrupted } from '../follow.ts';
import { type JobFile, loadJobFile } from '../job-file.ts';
import { type BundledCode, bundleFiles, fillSpec, type UploadProgress } from '../job-payload.ts';
import { Live } from '../live.ts';
import { renderUploads } from '../progress.ts';
import { usageError } from '../report.ts';
import { openKeys, signSpec } from '../sign-code.ts';
import { bytesText } from '../text.ts';

interface SubmitOptions {
  readonly input: readonly string[];
  readonly out?: string;
  readonly detach?: boolean;
  readonly id?: string;
  readonly wait: string;
}

const examples = `
Examples:
  foremesh submit job.yaml                            follow it, print the result
  foremesh submit job.yaml --out table.json           write the result to a file
  foremesh submit job.yaml --input map=flights.json   read another file in stage "map"
  foremesh submit job.yaml --detach --id nightly-3    leave it to the mesh
  foremesh submit job.yaml --json | jq .event         one line per change

In the job file \`code\`, \`merge\` and \`input\` may be paths from its folder. ^C detaches: the job goes on.
The same id with the same job is the same job, so a command that was cut off can be given again with its --id.
`;

export const submitCommand: CommandModule = {
  name: 'submit',
  summary: 'run a job on the mesh and print its result',
  arguments: [['<file>', 'job file, YAML or JSON']],
  register(command: Command, context: CommandContext) {
    command
      .option(
        '-i, --input <stage=file>',
        'what a stage reads (the stage may be left out when only one can); repeat',
        collect,
        [],
      )
      .option('-o, --out <file>', 'write the result here; a folder when several stages give results')
      .option('-d, --detach', 'end once the job is accepted')
      .option('--id <id>', 'id of the job; made of its name unless said')
      .option('--wait <seconds>', 'give up when no node has accepted the job for this long', '60')
      .addHelpText('after', examples)
      .action((file: string, options: SubmitOptions) => submit(new Session(command, context), file, options));
  },
};

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

async function submit(session: Session, file: string, options: SubmitOptions): Promise<void> {
  const acceptWithinMs = millisecondsOf(options.wait);
  if (options.id !== undefined) checkIdentifier(options.id, '--id');
  if (options.detach === true && options.out !== undefined) {
    throw usageError('--detach and --out exclude each other', 'later: foremesh job ID --follow --out FILE');
  }
  // Everything that can be wrong on this side is found before the mesh is asked for anything.
  const job = await loadJobFile(file, { directory: session.io.directory, inputs: options.input });
  const keys = await openKeys(session.home, job);
  const bundled = await bundleFiles(job, await findAuthor());
  for (const { message, where } of bundled.warnings) session.tell(`${where ?? file}: warning: ${message}`);
  await session.withMesh(async (client) => {
    const unsigned = await untilInterrupted(session, () => upload(session, client, job, bundled));
    const spec = await signSpec(job, unsigned, keys);
    const { makeJobId } = await import('../../sdk/index.ts');
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
