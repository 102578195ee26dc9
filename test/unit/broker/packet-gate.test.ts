import assert from 'node:assert/strict';
import fc from 'fast-check';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { brokerLimits } from '../../../broker/limits.ts';
import { PacketGate, packetRules } from '../../../broker/packet-gate.ts';

const rules = packetRules(brokerLimits);
const connect = mqttPacket.generate({
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clean: true,
  clientId: 'a',
  keepalive: 1,
});

/** The first problem, and whether it was found no matter how the bytes are cut. */
function problemOf(...parts: readonly Uint8Array[]): string | undefined {
  const bytes = Buffer.concat(parts);
  const whole = new PacketGate(rules).inspect(bytes);
  const gate = new PacketGate(rules);
  let single: string | undefined;
  for (const byte of bytes) single ??= gate.inspect(Uint8Array.of(byte));
  assert.equal(single, whole);
  return whole;
}

describe('broker packet gate', () => {
  it('passes every packet that a client may send, however it is cut', () => {
    const packets: Packet[] = [
      { cmd: 'publish', topic: 'a', payload: 'x'.repeat(200_000), qos: 1, messageId: 1, dup: true, retain: true },
      { cmd: 'publish', topic: 'a', payload: '', qos: 0, dup: false, retain: false },
      {
        cmd: 'publish',
        topic: 't'.repeat(200),
        payload: Buffer.alloc(262_144),
        qos: 2,
        messageId: 9,
        dup: false,
        retain: false,
      },
      { cmd: 'puback', messageId: 1 },
      { cmd: 'pubrec', messageId: 1 },
      { cmd: 'pubrel', messageId: 1 },
      { cmd: 'pubcomp', messageId: 1 },
      { cmd: 'subscribe', messageId: 2, subscriptions: [{ topic: 'a/#', qos: 1 }] },
      { cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['a/#'] },
      { cmd: 'pingreq' },
      { cmd: 'disconnect' },
    ];
    const stream = Buffer.concat([connect, ...packets.map((packet) => mqttPacket.generate(packet))]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 30 }), (cuts) => {
        const gate = new PacketGate(rules);
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          assert.equal(gate.inspect(stream.subarray(at, at + cut)), undefined);
          at += cut;
        }
      }),
    );
  });

  it('refuses a length at its header, before the body', () => {
    const { publishPacketBytes } = brokerLimits;
    const header = (length: number) =>
      Uint8Array.of(0x30, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14);
    assert.equal(problemOf(connect, header(publishPacketBytes)), undefined);
    assert.match(problemOf(connect, header(publishPacketBytes + 1)) ?? '', /PUBLISH may have/);
    assert.match(problemOf(connect, Uint8Array.of(0x30, 0xff, 0xff, 0xff)) ?? '', /PUBLISH may have/);
    assert.match(problemOf(Uint8Array.of(0x10, 0xff, 0xff, 0x01)) ?? '', /CONNECT may have/);
    assert.match(problemOf(connect, Uint8Array.of(0x40, 3)) ?? '', /PUBACK may have 2 bytes/);
    assert.match(problemOf(connect, Uint8Array.of(0x40, 1)) ?? '', /PUBACK has at least 2 bytes/);
    assert.match(problemOf(connect, Uint8Array.of(0x82, 0x80, 0x80, 0x80, 0x80)) ?? '', /more than 4 bytes/);
  });

  it('refuses what no client may send', () => {
    for (const [bytes, expected] of [
      [[0x20, 2, 0, 0], /type 2 is not for clients/],
      [[0x00, 0], /type 0/],
      [[0xf0, 0], /type 15/],
      [[0xd0, 0], /type 13/],
      [[...connect], /a second CONNECT/],
      [[0x36, 10], /QoS 3/],
      [[0x80, 6], /wrong flags on SUBSCRIBE/],
      [[0xc1, 0], /wrong flags on PINGREQ/],
    ] as const) {
      assert.match(problemOf(connect, Uint8Array.from(bytes)) ?? '', expected);
    }
    assert.match(problemOf(Uint8Array.of(0xc0, 0)) ?? '', /PINGREQ before CONNECT/);
    assert.match(problemOf(Buffer.from('GET / HTTP/1.1\r\n')) ?? '', /not for clients|before CONNECT/);
  });
});
