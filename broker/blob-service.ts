import { Topics, type Transport } from '@foremesh/node-runtime/contract';
import type { Incidents } from './log.ts';

/** The holder's name in `blobs/<holder>/...`. */
export const brokerHolder = 'broker';

export interface BlobServiceOptions {
  /** Directory of the blobs; made when missing. */
  readonly directory: string;
  readonly meshes: readonly string[];
  /** Most bytes it holds; what would pass it is refused. */
  readonly limitBytes: number | undefined;
  /** See `blobGraceMs`. */
  readonly graceMs: number;
  readonly transport: Transport;
  readonly incidents: Incidents;
}

/**
 * Holds the blobs of these meshes on the broker's disk, so that any machine may die. Returns what stops it.
 * Throws `MESH_STORAGE_FAILED`.
 */
export async function startBlobService(options: BlobServiceOptions): Promise<() => Promise<void>> {
  const { BlobHolder, BlobStore } = await import('@foremesh/node-runtime/data');
  const { directory, meshes, limitBytes, graceMs, transport, incidents } = options;
  const store = await BlobStore.open(directory, limitBytes === undefined ? {} : { limitBytes });
  const holders = meshes.map(
    (mesh) =>
      new BlobHolder({
        store,
        topics: new Topics(mesh),
        holder: brokerHolder,
        // Of what several meshes share, none can say that it is not needed.
        ...(meshes.length === 1 ? { graceMs } : {}),
        onProblem: (problem) => incidents.report('blobs', { code: problem.code }, problem.toLine()),
      }),
  );
  await Promise.all(holders.map((holder) => holder.attach(transport)));
  return async () => {
    await Promise.all(holders.map((holder) => holder.close()));
    await store.close();
  };
}
