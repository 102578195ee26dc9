/**
 * A process of its own, once per machine: systeminformation would stay in the runtime's memory for good (10 MB), and what
 * it tells does not change. Prints one JSON object.
 */
import { cpu, osInfo, system } from 'systeminformation';
import type { MachineDescription } from '../contract/index.ts';

const [machine, processor, operatingSystem] = await Promise.all([system(), cpu(), osInfo()]);
const words = (...parts: readonly string[]) =>
  parts
    .filter((part) => part !== '')
    .join(' ')
    .slice(0, 100);
const description: MachineDescription = {
  model: words(machine.manufacturer, machine.model),
  cpu: words(processor.manufacturer, processor.brand),
  system: words(operatingSystem.distro, operatingSystem.release),
};
process.stdout.write(JSON.stringify(description));
