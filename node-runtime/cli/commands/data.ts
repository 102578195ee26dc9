import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { blobName, checkIdentifier, limits, type ResultOutput } from '../../contract/index.ts';
import type { DataRow } from '../../sdk/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { untilInterrupted } from '../follow.ts';
import { Live } from '../live.ts';
import { renderUploads } from '../progress.ts';
import { usageError } from '../report.ts';
import { type Column, renderTable } from '../table.ts';
import { bytesText, percentText } from '../text.ts';

const examples = `
A blob is known by the hash of what is in it: who knows the name may read it, and the same bytes are stored once. Put
once, it can be the \`input\` of many jobs: \`input: { blob: sha256-..., sizeBytes: ... }\`.

Examples:
  foremesh data put flights.json            prints its name and its size
  foremesh data ls                          the blobs that your jobs have given
  foremesh data get sha256-... 61238 --out flights.json
`;

export const dataCommand: CommandModule = {
  name: 'data',
  summary: 'put, get and list what jobs read and give',
  register(command: Command, context: CommandContext) {
    command.addHelpText('after', examples);
    command
      .command('put')
      .description('bring a file to the mesh; print its name and its size')
      .argument('<file>')
      .action((file: string) => put(new Session(command, context), file));
    command
      .command('get')
      .description('fetch a blob by its name and its size in bytes')
      .argument('<blob>')
      .argument('<size>')
      .option('-o, --out <file>', 'write it here; to standard output unless said')
      .action((blob: string, size: string, { out }: { out?: string }) =>
        get(new Session(command, context), blob, size, out),
      );
    command
      .command('ls')
      .description('list the blobs that jobs have given as outputs')
      .argument('[job]', 'of this job alone')
      .action((job: string | undefined) => list(new Session(command, context), job));
  },
};

async function put(session: Session, file: string): Promise<void> {
  const path = resolve(session.io.directory, file);
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw usageError(error.code === 'ENOENT' ? `there is no file ${file}` : `cannot read ${file}: ${error.message}`);
  });
  if (!status.isFile()) throw usageError(`${file} is not a file`);
  await session.withMesh(async (client) => {
    const live = new Live(session.io.stderr);
    const onProgress = (progress: { doneBytes: number; totalBytes: number }) => {
      if (session.json) return;
      live.show({
        lines: (columns) => renderUploads([{ shown: file, ...progress }], { columns, paint: session.paintErr }),
        plain: () => `${file} ${percentText(progress.totalBytes === 0 ? 1 : progress.doneBytes / progress.totalBytes)}`,
      });
    };
    try {
      const reference = await untilInterrupted(session, (signal) => client.data.put(path, { onProgress, signal }));
      live.drop();
      if (session.json) session.printJson(reference);
      else session.print(`${reference.blob} ${reference.sizeBytes}`);
    } finally {
      live.drop();
    }
  });
}

async function get(session: Session, blob: string, size: string, out: string | undefined): Promise<void> {
  if (!blobName.safeParse(blob).success) throw usageError(`"${blob}" is no blob`, 'a name is sha256- and 64 digits');
  const sizeBytes = Number(size);
  if (!/^\d+$/.test(size) || sizeBytes > limits.blobBytes) {
    throw usageError(`"${size}" is no size in bytes`, '`foremesh data put` and `ls` print it behind the name');
  }
  if (out === undefined && session.io.stdout.isTTY)
    throw usageError('this may be binary', 'say --out FILE, or pipe it on');
  await session.withMesh(async (client) => {
    if (out === undefined) {
      for await (const chunk of client.data.stream({ blob, sizeBytes })) session.io.stdout.write(chunk);
      return;
    }
    const content: ResultOutput = { encoding: 'bytes', blob, sizeBytes };
    await untilInterrupted(session, () => client.download(content, resolve(session.io.directory, out)));
    if (session.json) session.printJson({ blob, sizeBytes, out });
    else session.tell(`wrote ${out}`);
  });
}

async function list(session: Session, job: string | undefined): Promise<void> {
  if (job !== undefined) checkIdentifier(job, 'job id');
  await session.withMesh(async (client) => {
    const rows: DataRow[] = [];
    for await (const row of client.data.ls(job === undefined ? {} : { job })) {
      if (session.json) session.printJson(row);
      else rows.push(row);
    }
    if (session.json) return;
    if (rows.length === 0)
      session.tell('no job has given an output that is a blob; small ones stand in the result itself');
    else session.print(...renderTable(rows, columns));
  });
}

const columns: readonly Column<DataRow>[] = [
  { title: 'JOB', cell: ({ job }) => job },
  { title: 'OUTPUT', cell: ({ output }) => output },
  { title: 'KIND', cell: ({ encoding }) => encoding },
  { title: 'SIZE', align: 'right', cell: ({ sizeBytes }) => bytesText(sizeBytes) },
  { title: 'BLOB', cell: ({ blob }) => blob },
  { title: 'BYTES', align: 'right', cell: ({ sizeBytes }) => String(sizeBytes) },
];
