import { MeshError } from '../contract/index.ts';
import type { CommandModule } from './context.ts';
import type { Bundler } from './job-payload.ts';

/** The commands that other packages bring, found by name at run time: a device installs none of them. */
const packages = [
  { name: '@foremesh/broker', entry: '@foremesh/broker/commands', commands: ['up', 'broker', 'accounts'] },
  { name: '@foremesh/simulations', entry: '@foremesh/simulations/commands', commands: ['sim'] },
  { name: '@foremesh/firmware-bridge', entry: '@foremesh/firmware-bridge/commands', commands: ['bridge'] },
] as const;

/** The names of all commands that may be found. */
export const extensionCommands: readonly string[] = packages.flatMap(({ commands }) => commands);

const summaries: Readonly<Record<string, string>> = {
  up: 'run broker and first node on this machine; found the mesh if there is none',
  broker: 'run the MQTT broker of a mesh on this machine',
  accounts: 'make, list and remove accounts at the broker of this home',
  sim: 'simulate fleets that nobody owns',
  bridge: 'bring microcontrollers into the mesh',
};

/** A module of an optional package, or undefined when the package is not installed. */
export async function loadOptional(specifier: string): Promise<Record<string, unknown> | undefined> {
  try {
    return (await import(specifier)) as Record<string, unknown>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const packageName = specifier.split('/').slice(0, 2).join('/');
    if (code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${packageName}'`)) return undefined;
    throw new MeshError('MESH_NOT_INSTALLED', `${packageName} is installed but does not load: ${message}`, {
      mend: `npm install ${packageName}`,
      cause: error,
    });
  }
}

/** Every command of the other packages; one whose package is absent says how to get it. */
export async function findExtensions(): Promise<CommandModule[]> {
  const found: CommandModule[] = [];
  for (const { name, entry, commands } of packages) {
    const module = await loadOptional(entry).catch((error: unknown) => error as MeshError);
    if (module === undefined || module instanceof MeshError) {
      for (const command of commands) found.push(absent(command, name, module));
    } else {
      found.push(...(module.commands as readonly CommandModule[]));
    }
  }
  return found;
}

/** The package that bundles code, when it is installed. */
export async function findAuthor(): Promise<Bundler | undefined> {
  return (await loadOptional('@foremesh/author')) as Bundler | undefined;
}

/** The command that installs one of our optional packages, beside this one. */
export function installCommand(packageName: string): string {
  return `npm install ${packageName}`;
}

function absent(command: string, packageName: string, reason: MeshError | undefined): CommandModule {
  return {
    name: command,
    summary: `${summaries[command]} (not installed: ${installCommand(packageName)})`,
    register: (registered) => {
      registered
        .allowUnknownOption()
        .allowExcessArguments()
        .action(() => {
          if (reason !== undefined) throw reason;
          throw new MeshError(
            'MESH_NOT_INSTALLED',
            `\`foremesh ${command}\` comes with ${packageName}, which is not installed`,
            {
              mend: installCommand(packageName),
            },
          );
        });
    },
  };
}
