import assert from 'node:assert/strict';
import {
  brokerProfiles,
  Chance,
  calmWeather,
  Timeline,
  VirtualBroker,
  type VirtualConnection,
} from '@foremesh/simulations';
import fc from 'fast-check';

type Profile = (typeof brokerProfiles)[keyof typeof brokerProfiles];

/** A broker, and clients that write down what they hear. */
class Bench {
  readonly time = new Timeline();
  readonly broker: VirtualBroker;
  readonly closed: string[] = [];

  constructor(seed: number, profile: Profile = brokerProfiles.plain, weather = calmWeather) {
    this.broker = new VirtualBroker(this.time, new Chance(seed), profile);
    this.broker.weather = weather;
  }

  connect(clientId: string, filters: readonly string[] = [], will?: string) {
    const heard: string[] = [];
    let made: VirtualConnection | undefined;
    this.broker.connect(
      {
        clientId,
        machine: clientId,
        ...(will === undefined ? {} : { will: { topic: will, payload: bytes('will') } }),
        onMessage: (topic, payload) => heard.push(`${topic}=${text(payload)}`),
        onClosed: (reason) => this.closed.push(`${clientId}: ${reason}`),
      },
      (connection) => {
        made = connection;
        connection?.subscribe(filters, () => undefined);
      },
    );
    this.pass(50_000);
    assert.ok(made, 'connected');
    return { heard, connection: made };
  }

  pass(ms: number): void {
    this.time.advance(this.time.nowMs + ms);
  }
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const rough = { ...calmWeather, delayMostMs: 2_000 };

/** Each of two publishers says 0 to 9 on `a`. */
function talk(bench: Bench, qos: 0 | 1, subscribers: number) {
  const listeners = Array.from({ length: subscribers }, (_, at) => bench.connect(`s${at}`, ['a']));
  const publishers = ['p', 'q'].map((id) => ({ id, ...bench.connect(id) }));
  for (let number = 0; number < 10; number += 1) {
    for (const { id, connection } of publishers) connection.publish('a', bytes(`${id}${number}`), { qos });
    bench.pass(100);
  }
  bench.pass(60_000);
  return listeners.map(({ heard }) => heard.map((each) => each.slice(2)));
}

describe('simulation: virtual MQTT', () => {
  it('keeps the order of each publisher for each subscriber, and loses no QoS 1 while connections hold', () => {
    const one = (seed: number) => {
      for (const heard of talk(new Bench(seed, brokerProfiles.plain, rough), 1, 2)) {
        for (const id of ['p', 'q']) {
          const mine = heard.filter((each) => each.startsWith(id));
          assert.deepEqual(
            mine,
            Array.from({ length: 10 }, (_, number) => `${id}${number}`),
          );
        }
      }
    };
    fc.assert(fc.property(seeds, one), { numRuns: 100 });
  });

  it('keeps no other order: two subscribers see two publishers differently', () => {
    const differs = Array.from({ length: 20 }, (_, seed) => talk(new Bench(seed, brokerProfiles.plain, rough), 1, 2));
    assert.ok(differs.some(([first, second]) => first!.join() !== second!.join()));
  });

  it('loses QoS 0, drops QoS 1 of a full queue and repeats it, as the weather says', () => {
    const heard = (qos: 0 | 1, change: Partial<typeof calmWeather>) =>
      talk(new Bench(5, brokerProfiles.plain, { ...calmWeather, ...change }), qos, 1)[0]!;
    assert.ok(heard(0, { lossPercent: 50 }).length < 20);
    assert.equal(heard(1, { lossPercent: 50 }).length, 20);
    assert.ok(heard(1, { dropPercent: 50 }).length < 20);
    const twice = heard(1, { duplicatePercent: 50 });
    assert.ok(twice.length > 20);
    assert.equal(new Set(twice).size, 20);
  });

  it('gives what is retained to an exact subscription, to a wildcard only where the broker does, and perhaps not the last', () => {
    const stale = new Set<string>();
    for (const profile of Object.values(brokerProfiles)) {
      for (let seed = 0; seed < 20; seed += 1) {
        const bench = new Bench(seed, profile);
        const { connection } = bench.connect('p');
        for (const value of ['old', 'new']) connection.publish('n/x', bytes(value), { qos: 1, retain: true });
        bench.pass(1_000);
        const exact = bench.connect('exact', ['n/x']).heard;
        const wild = bench.connect('wild', ['n/+']).heard;
        assert.equal(exact.length, 1);
        assert.equal(wild.length, profile.retainedToWildcards ? 1 : 0);
        if (exact[0] === 'n/x=old') stale.add(profile.name);
        connection.publish('n/x', new Uint8Array(), { qos: 1, retain: true });
        bench.pass(1_000);
        assert.deepEqual(bench.connect('later', ['n/x']).heard, [], 'an empty payload clears it');
      }
    }
    assert.deepEqual([...stale], ['rabbit']);
  });

  it('publishes a will when a connection breaks, not when it ends in order; never, late or twice in bad weather', () => {
    const wills = (weather: typeof calmWeather, end: (made: VirtualConnection) => void, seed = 1) => {
      const bench = new Bench(seed, brokerProfiles.plain, weather);
      const { heard } = bench.connect('s', ['w']);
      end(bench.connect('c', [], 'w').connection);
      bench.pass(120_000);
      return heard.length;
    };
    assert.equal(
      wills(calmWeather, (made) => made.close()),
      0,
    );
    assert.equal(
      wills(calmWeather, (made) => made.drop()),
      1,
    );
    const bad = { ...calmWeather, lostWillPercent: 30 };
    const counts = new Set(Array.from({ length: 60 }, (_, seed) => wills(bad, (made) => made.drop(), seed)));
    assert.deepEqual([...counts].sort(), [0, 1, 2]);
  });

  it('flushes late what a machine said on a connection that it has given up', () => {
    const bench = new Bench(3);
    const { heard } = bench.connect('s', ['a']);
    const old = bench.connect('c').connection;
    bench.broker.stall('c', 10_000);
    old.publish('a', bytes('old'), { qos: 1 });
    bench.pass(6_000);
    assert.deepEqual(bench.closed, ['c: nothing comes back']);
    let next: VirtualConnection | undefined;
    bench.broker.connect(
      { clientId: 'c2', machine: 'c', onMessage: () => undefined, onClosed: () => undefined },
      (made) => {
        next = made;
        made?.publish('a', bytes('new'), { qos: 1 });
      },
    );
    bench.pass(20_000);
    assert.ok(next);
    assert.deepEqual(heard, ['a=new', 'a=old']);
  });

  it('lets nobody hear a machine that is cut off in one direction, and each end notices on its own', () => {
    const bench = new Bench(4);
    const listener = bench.connect('s', ['a', 'w']);
    const both = bench.connect('c', ['b'], 'w');
    bench.broker.block('c', 'up', 60_000);
    both.connection.publish('a', bytes('unheard'), { qos: 1 });
    listener.connection.publish('b', bytes('heard'), { qos: 1 });
    bench.pass(10_000);
    assert.deepEqual([listener.heard, both.heard], [[], ['b=heard']]);
    bench.pass(20_000);
    assert.deepEqual(bench.closed, ['c: no answer to a ping']);
    assert.deepEqual(listener.heard, ['w=will']);
  });

  it('tells a client, once the way is open, that the broker has given it up', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const bench = new Bench(seed);
      bench.connect('c');
      bench.broker.block('c', 'both', 50);
      bench.pass(20_000);
      bench.broker.block('c', 'both', 5_000); // the broker's patience with the first ends in the second
      bench.pass(60_000);
      const { connection } = bench.connect('s', ['a']);
      connection.publish('a', bytes('heard'), { qos: 1 });
      bench.pass(1_000);
      assert.equal(bench.closed.length, 1, `seed ${seed}`);
    }
  });

  it('ends a frozen subscriber and the older of two clients with one id', () => {
    const bench = new Bench(6);
    bench.connect('slow', ['a']);
    bench.broker.freeze('slow', 20_000);
    bench.pass(15_000);
    assert.deepEqual(bench.closed, ['slow: too slow']);
    bench.connect('same');
    bench.connect('same');
    bench.pass(1_000);
    assert.deepEqual(bench.closed.slice(1), ['same: another client took the id']);
  });

  it('forgets everything at a restart without its store, only the connections with it', () => {
    for (const keepsStore of [true, false]) {
      const bench = new Bench(7);
      const { connection } = bench.connect('p');
      connection.publish('a', bytes('kept'), { qos: 1, retain: true });
      bench.pass(1_000);
      bench.broker.restart(1_000, keepsStore);
      bench.pass(2_000);
      assert.deepEqual(bench.closed, ['p: the broker is gone']);
      assert.deepEqual(bench.connect('s', ['a']).heard, keepsStore ? ['a=kept'] : []);
    }
  });
});
