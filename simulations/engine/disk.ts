import { joinedBytes } from '@foremesh/node-runtime/contract';
import type { Chance } from './chance.ts';
import type { Timeline } from './timeline.ts';

interface VirtualFile {
  /** Survives everything. */
  synced: Uint8Array[];
  /** Written, and not synced: a crash keeps some beginning of it, perhaps with flipped bits. */
  unsynced: Uint8Array[];
}

/** The disk of one machine. Writes are seen at once; what survives a crash is what was synced. */
export class VirtualDisk {
  readonly #time: Timeline;
  readonly #chance: Chance;
  #files = new Map<string, VirtualFile>();
  /** How long a sync takes, at most. */
  syncMostMs: number;
  full = false;
  /** Grows with every crash: what was under way before one never ends. */
  #crashes = 0;
  #busyUntilMs = 0;

  constructor(time: Timeline, chance: Chance, syncMostMs: number) {
    this.#time = time;
    this.#chance = chance;
    this.syncMostMs = syncMostMs;
  }

  /** Throws when the disk is full. */
  append(name: string, bytes: Uint8Array): void {
    if (this.full) throw new Error('no space left on device');
    this.#file(name).unsynced.push(bytes);
  }

  /** One sync after the other. `done` gets an error when the disk has become full. */
  sync(name: string, done: (error?: Error) => void): void {
    const crashes = this.#crashes;
    this.#later(() => {
      if (this.full) {
        done(new Error('no space left on device'));
        return;
      }
      const file = this.#files.get(name);
      if (file !== undefined && crashes === this.#crashes) {
        file.synced.push(...file.unsynced);
        file.unsynced = [];
      }
      done();
    });
  }

  /** Writes a new file and puts it in the place of the old one: after a crash there is one or the other. */
  replace(name: string, bytes: Uint8Array, done: (error?: Error) => void): void {
    this.#later(() => {
      if (this.full) {
        done(new Error('no space left on device'));
        return;
      }
      this.#files.set(name, { synced: [bytes], unsynced: [] });
      done();
    });
  }

  /** The same, and the machine waits for it. Throws when the disk is full. */
  replaceNow(name: string, bytes: Uint8Array): void {
    if (this.full) throw new Error('no space left on device');
    this.#files.set(name, { synced: [bytes], unsynced: [] });
  }

  remove(name: string): void {
    this.#files.delete(name);
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  read(name: string): Uint8Array | undefined {
    const file = this.#files.get(name);
    return file === undefined ? undefined : joinedBytes([...file.synced, ...file.unsynced]);
  }

  /** A kill (of the process alone) loses nothing that was written; a power cut loses what was not synced, or half of it. */
  crash(powerCut: boolean): void {
    this.#crashes += 1;
    this.#busyUntilMs = 0;
    for (const file of this.#files.values()) {
      const unsynced = joinedBytes(file.unsynced);
      file.unsynced = [];
      if (!powerCut) {
        file.synced.push(unsynced);
        continue;
      }
      const kept = unsynced.slice(0, this.#chance.between(0, unsynced.length));
      if (kept.length > 0 && this.#chance.percent(30)) {
        const at = this.#chance.between(0, kept.length - 1);
        kept[at] = kept[at]! ^ (1 << this.#chance.between(0, 7));
      }
      file.synced.push(kept);
    }
  }

  wipe(): void {
    this.#files = new Map();
  }

  /** Cuts a file to its good beginning, as a reader does after a crash. */
  truncate(name: string, bytes: number): void {
    const whole = this.read(name);
    if (whole !== undefined) this.#files.set(name, { synced: [whole.slice(0, bytes)], unsynced: [] });
  }

  /** What a reader puts in the place of what it found, smaller than that: there is room for it on a full disk too. */
  rewrite(name: string, bytes: Uint8Array): void {
    this.#files.set(name, { synced: [bytes], unsynced: [] });
  }

  #later(run: () => void): void {
    const crashes = this.#crashes;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#time.nowMs) + this.#chance.between(1, this.syncMostMs);
    this.#time.at(this.#busyUntilMs, () => {
      if (crashes === this.#crashes) run();
    });
  }

  #file(name: string): VirtualFile {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const file: VirtualFile = { synced: [], unsynced: [] };
    this.#files.set(name, file);
    return file;
  }
}
