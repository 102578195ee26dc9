import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A machine of its own, as far as the network goes: a namespace with one address, and a cable to this machine. */
export class Network {
  readonly name: string;
  /** Of this machine, and of the other end. */
  readonly here: string;
  readonly there: string;
  /** What to put before a command that is to run at the other end. */
  readonly prefix: readonly string[];

  constructor() {
    const number = 1 + (process.pid % 250);
    this.name = `fm-${number}`;
    this.here = `10.213.${number}.1`;
    this.there = `10.213.${number}.2`;
    this.prefix = ['ip', 'netns', 'exec', this.name];
  }

  /** Returns the reason where this system lets nobody make a namespace. */
  async open(): Promise<string | undefined> {
    try {
      await run('ip', ['netns', 'add', this.name]);
    } catch (error) {
      return `no network namespace can be made here, which takes root and ip: ${(error as Error).message.trim()}`;
    }
    await run('ip', ['-n', this.name, 'link', 'set', 'lo', 'up']);
    await this.plug();
    return undefined;
  }

  get #cable(): string {
    return `${this.name}h`;
  }

  /** Lays the cable, and gives both ends their addresses. */
  async plug(): Promise<void> {
    const { name, here, there } = this;
    await run('ip', ['link', 'add', this.#cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    await this.addAddress(here);
    await run('ip', ['link', 'set', this.#cable, 'up']);
    await run('ip', ['-n', name, 'address', 'add', `${there}/24`, 'dev', 'eth0']);
    await run('ip', ['-n', name, 'link', 'set', 'eth0', 'up']);
  }

  /** Takes the cable away, and with it both addresses. */
  async unplug(): Promise<void> {
    await run('ip', ['link', 'delete', this.#cable]);
  }

  /** Another address of this machine on the cable. */
  async addAddress(address: string): Promise<void> {
    await run('ip', ['address', 'add', `${address}/24`, 'dev', this.#cable]);
  }

  async removeAddress(address: string): Promise<void> {
    await run('ip', ['address', 'delete', `${address}/24`, 'dev', this.#cable]);
  }

  /** The cable goes with the namespace. */
  async close(): Promise<void> {
    await run('ip', ['netns', 'delete', this.name]);
  }
}
