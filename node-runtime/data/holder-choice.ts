import { MeshError } from '../contract/index.ts';

const suspectedMs = 30_000;

/**
 * Tries holders in turn. One that failed is tried last for half a minute, so that a holder that is down does not cost its
 * timeout with every chunk.
 */
export class HolderChoice {
  private readonly holders: () => readonly string[];
  private readonly suspectedUntilMs = new Map<string, number>();

  constructor(holders: readonly string[] | (() => readonly string[])) {
    this.holders = typeof holders === 'function' ? holders : () => holders;
  }

  inOrder(): string[] {
    const nowMs = performance.now();
    const suspected = (holder: string) => (this.suspectedUntilMs.get(holder) ?? 0) > nowMs;
    const all = this.holders();
    return [...all.filter((holder) => !suspected(holder)), ...all.filter(suspected)];
  }

  /**
   * The first result. `goOn` decides whether an error is the holder's own, so that the next may do better. Throws what
   * was not, and after the last holder one error that tells of all: the gravest code, corrupt before unreachable before
   * missing.
   */
  async first<T>(work: (holder: string) => Promise<T>, goOn: (error: MeshError) => boolean): Promise<T> {
    const failures: { holder: string; error: MeshError }[] = [];
    for (const holder of this.inOrder()) {
      try {
        return await work(holder);
      } catch (error) {
        if (!(error instanceof MeshError) || !goOn(error)) throw error;
        if (error.code !== 'MESH_BLOB_MISSING') {
          this.suspectedUntilMs.set(holder, performance.now() + suspectedMs);
        }
        failures.push({ holder, error });
      }
    }
    throw summary(failures);
  }
}

const gravest = ['MESH_BLOB_CORRUPT', 'MESH_STORAGE_FAILED', 'MESH_LIMIT_EXCEEDED', 'MESH_UNREACHABLE'] as const;

function summary(failures: readonly { holder: string; error: MeshError }[]): MeshError {
  if (failures.length === 0) {
    return new MeshError('MESH_BLOB_MISSING', 'no holder is known', {
      mend: 'start a broker or a node that holds blobs',
    });
  }
  const code = gravest.find((each) => failures.some(({ error }) => error.code === each)) ?? failures[0]!.error.code;
  const decisive = failures.find(({ error }) => error.code === code)!.error;
  const message = failures.map(({ holder, error }) => `${holder}: ${error.message}`).join('; ');
  return new MeshError(code, message, {
    cause: decisive,
    ...(decisive.mend === undefined ? {} : { mend: decisive.mend }),
  });
}
