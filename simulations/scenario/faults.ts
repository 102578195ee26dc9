import type { VirtualNode } from '../drivers/node.ts';
import type { Chance } from '../engine/chance.ts';
import type { World } from '../world.ts';
import type { Fault } from './scenario.ts';

/** A client id that somebody else uses is taken again and again. */
const clashEveryMs = 1_500;

/** Does to the mesh what a fault says; what was broken is mended after its time. */
export function strike(world: World, node: VirtualNode, { kind, forMs }: Fault): void {
  const { time, broker, trace } = world;
  const { machine } = node;
  const later = (mend: () => void) => time.after(forMs, mend);
  trace.say(time.nowMs, `fault: ${kind} of ${machine.id} for ${forMs} ms`);
  switch (kind) {
    case 'kill':
    case 'power-cut':
      node.crash(kind === 'kill' ? 'kill' : 'power');
      later(() => node.start());
      return;
    case 'lost-disk':
      // No mesh survives the loss of a majority.
      if (!world.checks.log.mayLoseDisk(node.id)) return;
      node.crash('wipe');
      later(() => node.start());
      return;
    case 'blackout':
      world.blackout(forMs);
      return;
    case 'elected-crash':
    case 'change-crash':
      world.traps.push({ on: kind === 'elected-crash' ? 'election' : 'change', forMs });
      return;
    case 'pause':
      machine.clock.pause(forMs);
      // A process that is stopped answers no ping.
      broker.block(machine.hardware, 'both', forMs);
      return;
    case 'reset':
      broker.cut(machine.hardware);
      return;
    case 'stale-flush':
      broker.stall(machine.hardware, forMs);
      return;
    case 'partition':
      broker.block(machine.hardware, 'both', forMs);
      return;
    case 'partition-up':
      broker.block(machine.hardware, 'up', forMs);
      return;
    case 'partition-down':
      broker.block(machine.hardware, 'down', forMs);
      return;
    case 'frozen-subscriber':
      broker.freeze(machine.hardware, forMs);
      return;
    case 'id-clash': {
      const untilMs = time.nowMs + forMs;
      const clash = () => {
        broker.clash(machine.hardware);
        if (time.nowMs + clashEveryMs < untilMs) time.after(clashEveryMs, clash);
      };
      clash();
      return;
    }
    case 'full-disk':
      machine.disk.full = true;
      later(() => {
        machine.disk.full = false;
      });
      return;
    case 'flipped-bits':
      spoilCheckpoint(world, machine.chance);
      return;
    case 'clock-jump':
      machine.clock.jump(machine.chance.between(-86_400_000, 86_400_000));
      return;
    case 'broker-restart':
    case 'broker-lost-store':
      broker.restart(forMs, kind === 'broker-restart');
  }
}

/** One that somebody may be told to go on from. */
function spoilCheckpoint({ checks, blobs }: World, chance: Chance): void {
  const tasks = [...checks.log.ledger.jobs.values()].flatMap((job) =>
    [...job.stages.values()].flatMap((stage) => stage.tasks),
  );
  const states = tasks.flatMap(({ checkpoint }) => checkpoint?.state.blob ?? []);
  if (states.length > 0) blobs.spoil(chance.pick(states), chance);
}
