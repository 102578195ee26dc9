import type { Address } from './connection.ts';
import { limits } from './limits.ts';

/**
 * How a mesh is found in a local network: what its broker says of itself by mDNS (RFC 6762, with the records of RFC 6763).
 * A convenience, and never a proof: whoever is in the network can say the same, so that what is found here is believed only
 * after the CA was checked.
 */

/** A record as it is sent. `ttlSeconds` 0 takes it back. */
export interface LocalRecord {
  readonly name: string;
  readonly type: 'PTR' | 'SRV' | 'TXT' | 'A';
  readonly ttlSeconds: number;
  readonly data: string | readonly string[] | { readonly target: string; readonly port: number };
}

/** A record as it came, from whomever: nothing of it is known to be so. */
export interface HeardRecord {
  readonly name?: unknown;
  readonly type?: unknown;
  readonly ttl?: unknown;
  readonly data?: unknown;
}

/** What a mesh is known by. Both are public, and both stand in every invitation. */
export interface LocalMesh {
  readonly meshId: string;
  /** SHA-256 of its CA's certificate, in base64url. */
  readonly ca: string;
}

export const localService = '_foremesh._tcp.local';
/** Addresses change with their leases: what was heard is soon forgotten. */
const ttlSeconds = 120;
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const textBytes = 255;

/** The name of this broker among the instances of the service: nobody else has this CA, so that no other is looked for. */
function labelOf({ ca }: LocalMesh): string {
  return `foremesh-${ca
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 16)
    .toLowerCase()}`;
}

/** All that the broker of a mesh says on a link where it has this IPv4 address. `isLeaving` takes it back. */
export function localRecords(mesh: LocalMesh, { host, port }: Address, isLeaving = false): LocalRecord[] {
  const ttl = { ttlSeconds: isLeaving ? 0 : ttlSeconds };
  const label = labelOf(mesh);
  const instance = `${label}.${localService}`;
  const target = `${label}.local`;
  return [
    { name: localService, type: 'PTR', ...ttl, data: instance },
    { name: instance, type: 'SRV', ...ttl, data: { target, port } },
    { name: instance, type: 'TXT', ...ttl, data: [`mesh=${mesh.meshId}`, `ca=${mesh.ca}`] },
    { name: target, type: 'A', ...ttl, data: host },
  ];
}

/** Whether a question is for one of these records. */
export function asksFor(question: HeardRecord, records: readonly LocalRecord[]): boolean {
  const name = nameOf(question.name);
  return records.some((each) => each.name === name && (question.type === each.type || question.type === 'ANY'));
}

/** Whether who asks knows this answer already, and for more than half of its time (RFC 6762, section 7.1). */
export function isKnown(record: LocalRecord, heard: readonly HeardRecord[]): boolean {
  return heard.some(
    ({ name, type, data, ttl }) =>
      type === record.type &&
      nameOf(name) === record.name &&
      nameOf(data) === record.data &&
      typeof ttl === 'number' &&
      ttl >= record.ttlSeconds / 2,
  );
}

/**
 * Where the mesh is by the records of one packet, of which nothing is taken for granted: the IPv4 addresses of those that
 * call themselves by its id and its CA. Records count only when all four are there, which is how a broker answers.
 */
export function localPlaces(heard: readonly HeardRecord[], mesh: LocalMesh): Address[] {
  const records = heard.filter(({ ttl }) => typeof ttl === 'number' && ttl > 0);
  const of = (type: LocalRecord['type'], name: string) =>
    records.filter((each) => each.type === type && nameOf(each.name) === name).map(({ data }) => data);
  const instances = new Set(of('PTR', localService).map(nameOf));
  const found = new Map<string, Address>();
  for (const instance of instances) {
    if (instance === undefined) continue;
    const texts = of('TXT', instance).flatMap(textsOf);
    if (!texts.includes(`mesh=${mesh.meshId}`) || !texts.includes(`ca=${mesh.ca}`)) continue;
    for (const place of of('SRV', instance)) {
      const { target, port } = (typeof place === 'object' && place !== null ? place : {}) as Record<string, unknown>;
      const name = nameOf(target);
      if (name === undefined || typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
        continue;
      for (const host of of('A', name)) {
        if (typeof host === 'string' && ipv4.test(host)) found.set(`${host}:${port}`, { host, port });
        if (found.size >= limits.addressesPerConnection) return [...found.values()];
      }
    }
  }
  return [...found.values()];
}

/** DNS compares names without regard to case. */
function nameOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value.toLowerCase() : undefined;
}

/** The strings of a TXT record, which come as bytes. */
function textsOf(data: unknown): string[] {
  const parts: readonly unknown[] = Array.isArray(data) ? data : [data];
  return parts.flatMap((each) => {
    if (!(each instanceof Uint8Array) || each.length > textBytes) return [];
    return [String.fromCharCode(...each)];
  });
}

/**
 * Whether bytes that came are worth decoding: a packet as large as brokers and who looks for them send at most, with few
 * records, that names this service or one of its hosts. What is said of anything else is not even read.
 */
export function mayConcernUs(bytes: Uint8Array): boolean {
  const headerBytes = 12;
  if (bytes.length < headerBytes || bytes.length > limits.localPacketBytes) return false;
  let records = 0;
  for (let at = 4; at < headerBytes; at += 2) records += bytes[at]! * 256 + bytes[at + 1]!;
  if (records > limits.localPacketRecords) return false;
  return String.fromCharCode(...bytes.subarray(headerBytes))
    .toLowerCase()
    .includes('foremesh');
}

/** Whether an IPv4 address is of the network that another one is of. False for what is no address. */
export function isOnLink(address: string, link: { readonly address: string; readonly netmask: string }): boolean {
  const [one, other, mask] = [numberOf(address), numberOf(link.address), numberOf(link.netmask)];
  if (one === undefined || other === undefined || mask === undefined) return false;
  return (one & mask) === (other & mask);
}

function numberOf(address: string): number | undefined {
  if (!ipv4.test(address)) return undefined;
  return address.split('.').reduce((sum, part) => (sum << 8) | Number(part), 0);
}
