import assert from 'node:assert/strict';
import {
  asksFor,
  type HeardRecord,
  isKnown,
  isOnLink,
  type LocalRecord,
  limits,
  localPlaces,
  localRecords,
  localService,
  mayConcernUs,
} from '@foremesh/node-runtime/contract';
import fc from 'fast-check';

const mesh = { meshId: 'M'.repeat(43), ca: `aB_-${'C'.repeat(39)}` };
const at = { host: '192.168.1.10', port: 8883 };

/** As a decoder gives what was sent: the strings of TXT as bytes. */
const heard = (records: readonly LocalRecord[]): HeardRecord[] =>
  records.map(({ name, type, ttlSeconds, data }) => ({
    name,
    type,
    ttl: ttlSeconds,
    data: Array.isArray(data) ? data.map((each: string) => Buffer.from(each)) : data,
  }));
const changed = (type: LocalRecord['type'], change: Partial<HeardRecord>) =>
  heard(localRecords(mesh, at)).map((each) => (each.type === type ? { ...each, ...change } : each));

describe('a mesh in the local network', () => {
  it('is found by the four records that its broker sends, in any order and any case', () => {
    const records = heard(localRecords(mesh, at));
    assert.deepEqual(localPlaces(records, mesh), [at]);
    assert.deepEqual(localPlaces([...records].reverse(), mesh), [at]);
    const loud = records.map((each) => ({ ...each, name: String(each.name).toUpperCase() }));
    assert.deepEqual(localPlaces(loud, mesh), [at]);
    for (let left = 0; left < records.length; left += 1) {
      assert.deepEqual(localPlaces(records.toSpliced(left, 1), mesh), [], `without ${records[left]!.type}`);
    }
  });

  it('is not found by what another mesh, another CA, or who says goodbye has sent', () => {
    for (const other of [
      { ...mesh, meshId: 'N'.repeat(43) },
      { ...mesh, ca: 'D'.repeat(43) },
    ]) {
      assert.deepEqual(localPlaces(heard(localRecords(other, at)), mesh), []);
    }
    assert.deepEqual(localPlaces(heard(localRecords(mesh, at, true)), mesh), []);
  });

  it('is not found where a record is of another form than a broker gives it', () => {
    const odd: readonly (readonly [LocalRecord['type'], unknown])[] = [
      ...['nowhere', '1.2.3', '1.2.3.4.', '256.1.1.1', '::1', 7, null, Buffer.from('1.2.3.4')].map(
        (data) => ['A', data] as const,
      ),
      ...[0, 65_536, 1.5, '8883', undefined].map(
        (port) => ['SRV', { target: String(heard(localRecords(mesh, at))[3]!.name), port }] as const,
      ),
      ...[null, 'x', undefined, []].map((data) => ['SRV', data] as const),
      ...[null, undefined, 'mesh=', [Buffer.alloc(70_000)], [null, 3]].map((data) => ['TXT', data] as const),
      ...[null, undefined, 5, 'else'].map((data) => ['PTR', data] as const),
    ];
    for (const [type, data] of odd) {
      assert.deepEqual(localPlaces(changed(type, { data }), mesh), [], `${type} ${String(data)}`);
    }
  });

  it('has no more places than a connection string may have, whoever says so', () => {
    const [pointer, service, text, host] = heard(localRecords(mesh, at));
    const hosts = Array.from({ length: 50 }, (_, n) => ({ ...host, data: `192.168.1.${n + 1}` }));
    const found = localPlaces([pointer!, service!, text!, ...hosts], mesh);
    assert.equal(found.length, limits.addressesPerConnection);
  });

  it('takes nothing that a stranger sends for granted', () => {
    const record = fc.record(
      {
        name: fc.oneof(fc.constant(localService), fc.anything()),
        type: fc.oneof(fc.constantFrom('PTR', 'SRV', 'TXT', 'A', 'ANY'), fc.anything()),
        ttl: fc.oneof(fc.nat(), fc.anything()),
        data: fc.oneof(fc.string(), fc.uint8Array(), fc.array(fc.uint8Array()), fc.anything()),
      },
      { requiredKeys: [] },
    );
    const own = localRecords(mesh, at);
    fc.assert(
      fc.property(fc.array(record), (records) => {
        assert.deepEqual(localPlaces(records, mesh), []);
        for (const each of records) {
          asksFor(each, own);
          isKnown(own[0]!, [each]);
        }
      }),
    );
  });

  it('answers for its own names and types alone, and not what is known already', () => {
    const records = localRecords(mesh, at);
    const [pointer, , , host] = records;
    assert.ok(asksFor({ name: localService.toUpperCase(), type: 'PTR' }, records));
    assert.ok(asksFor({ name: host!.name, type: 'ANY' }, records));
    assert.ok(!asksFor({ name: localService, type: 'A' }, records));
    assert.ok(!asksFor({ name: '_http._tcp.local', type: 'PTR' }, records));
    const known = { name: pointer!.name, type: 'PTR', data: pointer!.data };
    assert.ok(isKnown(pointer!, [{ ...known, ttl: pointer!.ttlSeconds }]));
    assert.ok(!isKnown(pointer!, [{ ...known, ttl: pointer!.ttlSeconds / 2 - 1 }]));
    assert.ok(!isKnown(pointer!, [{ ...known, data: 'another', ttl: pointer!.ttlSeconds }]));
  });

  it('reads of a packet only what is small, has few records, and names the service', () => {
    const packet = (body: string, records = 1) => {
      const header = Buffer.alloc(12);
      header.writeUInt16BE(records, 4);
      return Buffer.concat([header, Buffer.from(body)]);
    };
    assert.ok(mayConcernUs(packet('\x09_Foremesh\x04_tcp\x05local\0')));
    assert.ok(!mayConcernUs(packet('\x05_http\x04_tcp\x05local\0')));
    assert.ok(!mayConcernUs(packet('_foremesh', limits.localPacketRecords + 1)));
    assert.ok(!mayConcernUs(packet(`_foremesh${' '.repeat(limits.localPacketBytes)}`)));
    assert.ok(!mayConcernUs(Buffer.from('_foremesh')));
    assert.ok(!mayConcernUs(new Uint8Array()));
  });

  it('is in the network of a link or not, by the mask', () => {
    const link = { address: '192.168.1.10', netmask: '255.255.255.0' };
    assert.ok(isOnLink('192.168.1.255', link));
    assert.ok(!isOnLink('192.168.2.10', link));
    assert.ok(isOnLink('10.255.0.1', { address: '10.0.0.1', netmask: '255.0.0.0' }));
    assert.ok(!isOnLink('10.0.0.2', { address: '10.0.0.1', netmask: '255.255.255.255' }));
    for (const wrong of ['', '::1', '192.168.1', '192.168.1.999']) assert.ok(!isOnLink(wrong, link), wrong);
  });
});
