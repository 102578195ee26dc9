import { mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { base64Of, type JobResult, MeshError, type ResultOutput } from '../contract/index.ts';
import type { MeshClient } from '../sdk/index.ts';
import { extractFile, isArchive } from './archive.ts';
import type { Session } from './context.ts';
import { bytesText, plural } from './text.ts';

/** Prints what a job gave, or writes it to `--out`: a file for one output, a folder for several, or for files. */
export async function deliverResult(
  session: Session,
  client: MeshClient,
  result: JobResult,
  out: string | undefined,
): Promise<void> {
  const outputs = Object.entries(result.outputs ?? {});
  if (session.json) {
    session.printJson({ event: 'result', result: out === undefined ? await withValues(client, result) : result });
  }
  if (out !== undefined) return writeOutputs(session, client, outputs, out);
  if (session.json || outputs.length === 0) return;
  const [only] = outputs;
  if (outputs.length === 1) return printOutput(session, client, only![1]);
  const values: Record<string, unknown> = {};
  for (const [stage, output] of outputs) values[stage] = jsonOf(await client.read(output));
  session.print(JSON.stringify(values, null, 2));
}

async function printOutput({ io }: Session, client: MeshClient, output: ResultOutput): Promise<void> {
  const value = await client.read(output);
  if (value instanceof Uint8Array) {
    if (io.stdout.isTTY) {
      throw new MeshError('MESH_USAGE', `the result is ${bytesText(value.length)} of binary data`, {
        mend: 'write it to a file with --out FILE, or pipe it on',
      });
    }
    io.stdout.write(value);
  } else if (output.encoding === 'text') {
    io.stdout.write(value as string);
    if (io.stdout.isTTY && !(value as string).endsWith('\n')) io.stdout.write('\n');
  } else {
    io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }
}

const extensions = { json: 'json', text: 'txt', bytes: 'bin' } as const;

async function writeOutputs(
  session: Session,
  client: MeshClient,
  outputs: readonly (readonly [string, ResultOutput])[],
  out: string,
): Promise<void> {
  const path = resolve(session.io.directory, out);
  const [only] = outputs;
  if (outputs.length === 1 && !(await isFolder(out, path))) {
    await client.download(only![1], path);
    session.tell(`wrote ${out}`);
    return;
  }
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw new MeshError('MESH_STORAGE_FAILED', `cannot make the folder: ${(error as Error).message}`, { where: out });
  }
  for (const [stage, output] of outputs) {
    const name = `${stage}.${extensions[output.encoding]}`;
    const file = join(path, name);
    await client.download(output, file);
    if (output.encoding === 'bytes' && (await beginsAsArchive(file))) {
      const archived = join(path, `${stage}.tar`);
      await rename(file, archived);
      // Should a name be unsound, the archive stays: nothing is lost.
      const names = await extractFile(archived, path);
      await unlink(archived);
      session.tell(`wrote ${plural(names.length, 'file')} of ${stage} to ${out}`);
    } else session.tell(`wrote ${join(out, name)}`);
  }
}

/** One that is there, or is written as one. */
async function isFolder(written: string, path: string): Promise<boolean> {
  if (/[/\\]$/.test(written)) return true;
  return stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );
}

async function beginsAsArchive(path: string): Promise<boolean> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(512), 0, 512, 0);
    return isArchive(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** The result with every output in it, however large: one document for a program. */
async function withValues(client: MeshClient, result: JobResult): Promise<JobResult> {
  const outputs: Record<string, ResultOutput> = {};
  for (const [stage, output] of Object.entries(result.outputs ?? {})) {
    if (!('blob' in output)) {
      outputs[stage] = output;
      continue;
    }
    const value = await client.read(output);
    outputs[stage] =
      value instanceof Uint8Array
        ? { encoding: 'bytes', base64: base64Of(value) }
        : ({ encoding: output.encoding, value } as ResultOutput);
  }
  return result.outputs === undefined ? result : { ...result, outputs };
}

function jsonOf(value: unknown): unknown {
  return value instanceof Uint8Array ? { base64: base64Of(value) } : value;
}
