import assert from 'node:assert/strict';
import { limits, type Preferences, preferences, preferencesChange } from '@foremesh/node-runtime/contract';
import {
  changedBy,
  createJudge,
  type DeviceReading,
  holdOf,
  isWithin,
  judge,
  type Moment,
  offersAhead,
} from '@foremesh/node-runtime/core';
import fc from 'fast-check';

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const at = (text: string) => {
  const [day, clock] = text.split(' ') as [string, string];
  const [hour, minute] = clock.split(':').map(Number) as [number, number];
  return { weekday: days.indexOf(day), minute: hour * 60 + minute };
};

describe('hours of an owner', () => {
  it('begin with their first minute and end before their last, over midnight too', () => {
    assert.equal(isWithin('09:00-17:00', at('Wed 09:00')), true);
    assert.equal(isWithin('09:00-17:00', at('Wed 17:00')), false);
    assert.equal(isWithin('22:00-07:00', at('Wed 06:59')), true);
    assert.equal(isWithin('22:00-07:00', at('Wed 07:00')), false);
    assert.equal(isWithin('00:00-24:00', at('Sun 23:59')), true);
  });

  it('are of the days on which they begin, a week that wraps included', () => {
    assert.equal(isWithin('Mon-Fri 18:00-08:00', at('Sat 07:59')), true, 'begun on Friday');
    assert.equal(isWithin('Mon-Fri 18:00-08:00', at('Mon 07:59')), false, 'begun on Sunday');
    assert.equal(isWithin('Sat-Mon 10:00-11:00', at('Sun 10:30')), true);
    assert.equal(isWithin('Sat-Mon 10:00-11:00', at('Tue 10:30')), false);
    assert.equal(isWithin('Tue 00:00-24:00', at('Wed 00:00')), false);
  });
});

describe('what an owner wants', () => {
  const limits = fc.record<Preferences>(
    {
      share: fc.double({ min: 0.01, max: 1, noNaN: true }),
      mode: fc.constantFrom('paused', 'draining'),
      temperatureMostCelsius: fc.integer({ min: 0, max: 150 }),
      batteryLeastShare: fc.double({ min: 0, max: 1, noNaN: true }),
      memoryFreeLeastBytes: fc.nat(),
      networkMostBytesPerDay: fc.nat(),
    },
    { requiredKeys: [] },
  );

  it('is never widened by what the mesh is told', () => {
    fc.assert(
      fc.property(limits, limits, (device, mesh) => {
        const { holds } = holdOf(device, mesh);
        for (const layer of [device, mesh]) {
          assert.ok((holds.share ?? 1) <= (layer.share ?? 1));
          assert.ok((holds.temperatureMostCelsius ?? 150) <= (layer.temperatureMostCelsius ?? 150));
          assert.ok((holds.batteryLeastShare ?? 0) >= (layer.batteryLeastShare ?? 0));
          assert.ok((holds.memoryFreeLeastBytes ?? 0) >= (layer.memoryFreeLeastBytes ?? 0));
          assert.ok((holds.networkMostBytesPerDay ?? 2 ** 53) <= (layer.networkMostBytesPerDay ?? 2 ** 53));
          if (layer.mode === 'paused') assert.equal(holds.mode, 'paused');
          if (layer.mode !== undefined) assert.notEqual(holds.mode, undefined);
        }
        assert.equal(preferences.safeParse(holds).success, true);
      }),
    );
  });

  it('changes by what is said alone; null lifts', () => {
    assert.deepEqual(changedBy({ share: 0.5, mode: 'paused' }, { mode: null, hours: ['01:00-02:00'] }), {
      share: 0.5,
      hours: ['01:00-02:00'],
    });
    assert.deepEqual(changedBy({ share: 0.5 }, {}), { share: 0.5 });
    assert.equal(preferencesChange.safeParse({ share: null }).success, true);
    for (const wrong of [{ share: 0 }, { hours: [] }, { hours: ['7-8'] }, { mode: 'off' }, { onlyLabels: ['a b'] }])
      assert.equal(preferencesChange.safeParse(wrong).success, false, JSON.stringify(wrong));
  });
});

describe('the judge of the limits', () => {
  const nothing = { ...at('Wed 12:00'), networkBytesOfDay: 0 };
  /** A device over time: each step is judged as many seconds later. */
  function device(holds: Preferences) {
    const state = createJudge();
    let nowMs = 0;
    return (seconds: number, reading: Partial<DeviceReading>) => {
      nowMs += seconds * 1_000;
      const { stance, cpuFactor, pressed, withheld } = judge(state, holdOf(holds, {}), {
        nowMs,
        ...nothing,
        ...reading,
      });
      return [stance, cpuFactor, pressed, withheld?.reason];
    };
  }

  it('slows down step by step while it is hot, leaves when that does not help, and comes back slowly', () => {
    const see = device({ temperatureMostCelsius: 70 });
    assert.deepEqual(see(0, { temperatureCelsius: 70 }), ['takes', 1, false, undefined]);
    assert.deepEqual(see(1, { temperatureCelsius: 71 }), ['finishes', 0.5, false, 'temperature']);
    assert.deepEqual(see(1, { temperatureCelsius: 71 }), ['finishes', 0.5, false, 'temperature']);
    assert.deepEqual(see(5, { temperatureCelsius: 71 }), ['finishes', 0.25, false, 'temperature']);
    assert.deepEqual(see(5, { temperatureCelsius: 71 }), ['finishes', 0.125, false, 'temperature']);
    assert.deepEqual(see(59, { temperatureCelsius: 71 }), ['finishes', 0.125, false, 'temperature']);
    assert.deepEqual(see(1, { temperatureCelsius: 71 }), ['leaves', 0.125, false, 'temperature']);
    assert.deepEqual(see(1, { temperatureCelsius: 69 }), ['finishes', 0.125, false, 'temperature']);
    assert.deepEqual(see(1, { temperatureCelsius: 67 }), ['takes', 0.25, false, undefined]);
    assert.deepEqual(see(10, { temperatureCelsius: 60 }), ['takes', 0.5, false, undefined]);
    assert.deepEqual(see(10, { temperatureCelsius: 60 }), ['takes', 1, false, undefined]);
    assert.deepEqual(see(10, {}), ['takes', 1, false, undefined], 'no thermometer, no limit');
  });

  it('leaves a battery alone below its least charge, and is not back for a single percent', () => {
    const see = device({ batteryLeastShare: 0.3 });
    assert.deepEqual(see(1, { batteryShare: 0.3 }), ['takes', 1, false, undefined]);
    assert.deepEqual(see(1, { batteryShare: 0.29 }), ['leaves', 1, false, 'battery']);
    assert.deepEqual(see(1, { batteryShare: 0.31 }), ['leaves', 1, false, 'battery']);
    assert.deepEqual(see(1, { batteryShare: 0.33 }), ['takes', 1, false, undefined]);
    see(1, { batteryShare: 0.1 });
    assert.deepEqual(see(1, {}), ['takes', 1, false, undefined], 'it is charged now');
  });

  it('presses while memory is short, and waits a while before it takes more', () => {
    const see = device({ memoryFreeLeastBytes: 1_000 });
    assert.deepEqual(see(1, { memoryAvailableBytes: 1_000 }), ['takes', 1, false, undefined]);
    assert.deepEqual(see(1, { memoryAvailableBytes: 999 }), ['finishes', 1, true, 'memory']);
    assert.deepEqual(see(1, { memoryAvailableBytes: 1_050 }), ['finishes', 1, false, 'memory']);
    assert.deepEqual(see(60, { memoryAvailableBytes: 1_050 }), ['finishes', 1, false, 'memory']);
    assert.deepEqual(see(1, { memoryAvailableBytes: 1_200 }), ['finishes', 1, false, 'memory']);
    assert.deepEqual(see(10, { memoryAvailableBytes: 1_200 }), ['takes', 1, false, undefined]);
  });

  it('finishes what runs when the traffic of a day is used up, and leaves outside of the hours: the worse counts', () => {
    const see = device({ networkMostBytesPerDay: 10, hours: ['11:00-13:00'] });
    assert.deepEqual(see(1, { networkBytesOfDay: 9 }), ['takes', 1, false, undefined]);
    assert.deepEqual(see(1, { networkBytesOfDay: 10 }), ['finishes', 1, false, 'network']);
    assert.deepEqual(see(1, { networkBytesOfDay: 10, minute: 800 }), ['leaves', 1, false, 'hours']);
  });

  it('needs the hours of the device and those of the mesh', () => {
    const held = holdOf({ hours: ['08:00-20:00'] }, { hours: ['10:00-11:00'] });
    const stance = (minute: number) => judge(createJudge(), held, { nowMs: 0, ...nothing, minute }).stance;
    assert.deepEqual(
      [9, 10, 12, 21].map((hour) => stance(hour * 60)),
      ['leaves', 'takes', 'leaves', 'leaves'],
    );
  });

  it('leaves the own work of the device its part of a quota, and a little more', () => {
    const room = (cpuBackgroundShare: number | undefined) =>
      judge(createJudge(), holdOf({}, {}), { nowMs: 0, ...nothing, cpuBackgroundShare }).cpuRoom;
    assert.deepEqual([undefined, 0.05, 0.5, 0.99].map(room), [1, 1, 0.4, 0.05]);
  });
});

describe('what an owner will give', () => {
  const reading = { nowMs: 0, networkBytesOfDay: 0 };
  /** Each minute from `from` on; what is sent and received by then says `bytes`. */
  const moments = (from: string, minutes: number, bytes = (_: number) => 0): Moment[] => {
    const { weekday, minute } = at(from);
    return Array.from({ length: minutes }, (_, after) => ({
      afterMs: after * 60_000,
      weekday: (weekday + Math.floor((minute + after) / 1_440)) % 7,
      minute: (minute + after) % 1_440,
      networkBytesOfDay: bytes(after),
    }));
  };
  const ahead = (holds: Preferences, more: Partial<DeviceReading>, when: Moment[]) => {
    const held = holdOf(holds, {});
    const now = judge(createJudge(), held, { ...reading, ...when[0]!, ...more });
    return offersAhead(held, now, 3, when).map(({ afterMs, slots, withheld }) => [
      afterMs / 60_000,
      slots,
      withheld?.reason,
    ]);
  };

  it('ends and begins with its hours, over midnight too', () => {
    const holds = { hours: ['Mon 22:00-24:00', 'Tue 00:10-00:20'] };
    assert.deepEqual(ahead(holds, {}, moments('Mon 23:45', 60)), [
      [15, 0, 'hours'],
      [25, 3, undefined],
      [35, 0, 'hours'],
    ]);
    assert.deepEqual(ahead({}, {}, moments('Mon 23:45', 60)), []);
  });

  it('ends with its budget, and comes back when what was sent and received counts no more', () => {
    const bytes = (after: number) => (after < 40 ? 95 + after : 20);
    assert.deepEqual(ahead({ networkMostBytesPerDay: 100 }, {}, moments('Mon 12:00', 60, bytes)), [
      [5, 0, 'network'],
      [40, 3, undefined],
    ]);
  });

  it('is not known while something else withholds it', () => {
    const holds = { hours: ['12:30-13:00'], batteryLeastShare: 0.5 };
    assert.deepEqual(ahead(holds, { batteryShare: 0.6 }, moments('Mon 12:00', 60)), [[30, 3, undefined]]);
    assert.deepEqual(ahead(holds, { batteryShare: 0.4 }, moments('Mon 12:00', 60)), []);
    assert.deepEqual(ahead({ hours: ['12:30-13:00'], mode: 'paused' }, {}, moments('Mon 12:00', 60)), []);
  });

  it('is at each moment what will be judged then', () => {
    const clock = fc.record({ hour: fc.integer({ min: 0, max: 23 }), minute: fc.integer({ min: 0, max: 59 }) });
    const two = (value: number) => String(value).padStart(2, '0');
    const text = ({ hour, minute }: { hour: number; minute: number }) => `${two(hour)}:${two(minute)}`;
    const span = fc
      .tuple(fc.constantFrom('', 'Mon ', 'Sat-Mon ', 'Sun-Tue '), clock, clock)
      .map(([day, from, to]) => `${day}${text(from)}-${text(to)}`);
    const hours = fc.array(span, { minLength: 1, maxLength: 4 });
    const owner = fc.record({ hours, networkMostBytesPerDay: fc.integer({ min: 0, max: 90 }) }, { requiredKeys: [] });
    fc.assert(
      fc.property(owner, owner, fc.constantFrom('Sun', 'Mon'), clock, (device, mesh, day, from) => {
        const held = holdOf(device, mesh);
        const when = moments(`${day} ${text(from)}`, 61, (after) => after);
        const judged = (moment: Moment) => judge(createJudge(), held, { ...reading, ...moment });
        const changes = offersAhead(held, judged(when[0]!), 3, when);
        const last = changes.length === limits.offerChanges ? changes.at(-1)!.afterMs : Number.POSITIVE_INFINITY;
        for (const moment of when.filter(({ afterMs }) => afterMs <= last)) {
          const change = changes.findLast(({ afterMs }) => afterMs <= moment.afterMs);
          const { withheld } = judged(moment);
          const told = change === undefined ? judged(when[0]!).withheld : change.withheld;
          assert.equal(told?.reason, withheld?.reason);
          if (change !== undefined) assert.equal(change.slots, withheld === undefined ? 3 : 0);
        }
      }),
    );
  });
});
