import {
  type Address,
  addressText,
  isOnLink,
  type LocalMesh,
  limits,
  localPlaces,
  localService,
} from '../../contract/index.ts';
import { type LinkAddress, type LocalLink, localPort, openLocalLink, ownLinks } from '../../data/local-link.ts';

export interface LocalFindings {
  /** Where somebody says that the mesh is; whether it is so, only its certificate shows. */
  readonly places: readonly Address[];
  /** Why some network could not be asked. */
  readonly problem: string | undefined;
}

/** How long is listened, at most; and how long after the first who answers, for others who do. */
const searchMs = 2_500;
const othersMs = 250;
/** Asked again (RFC 6762, section 5.2): radio networks lose what is said to all. */
const askAgainMs = 1_000;

/**
 * Asks by mDNS, in every IPv4 network of this machine, where a mesh is. Takes `searchMs` at most, or `mostMs` if that is
 * less. Never rejects: mDNS is a convenience.
 */
export async function searchLocally(mesh: LocalMesh, mostMs: number): Promise<LocalFindings> {
  const places = new Map<string, Address>();
  const problems: string[] = [];
  let heard!: () => void;
  const first = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const ended = new AbortController();
  const links: LocalLink[] = [];
  const timer = setTimeout(() => ended.abort(), Math.min(searchMs, mostMs));
  const opening = ownAddresses(problems).map(async (at) => {
    const problem = (error: Error) => problems.push(`${at.address}: ${error.message}`);
    try {
      const link = await openLocalLink(at, {
        onProblem: problem,
        onPacket: ({ isQuery, records, from }) => {
          // Answers come from the port of mDNS; from another one they could come from anywhere.
          if (isQuery || from.port !== localPort) return;
          for (const place of localPlaces(records, mesh)) {
            if (places.size >= limits.addressesPerConnection || !isOnLink(place.host, at)) continue;
            places.set(addressText(place), place);
            heard();
          }
        },
      });
      links.push(link);
      await link.ask(localService);
    } catch (error) {
      problem(error as Error);
    }
  });
  const again = setTimeout(() => {
    for (const link of links) void link.ask(localService);
  }, askAgainMs);
  await Promise.all(opening);
  if (links.length > 0) {
    await orAborted(first, ended.signal);
    if (places.size > 0) await orAborted(new Promise((resolve) => setTimeout(resolve, othersMs)), ended.signal);
  }
  clearTimeout(timer);
  clearTimeout(again);
  await Promise.all(links.map((link) => link.close()));
  return { places: [...places.values()], problem: problems[0] };
}

function ownAddresses(problems: string[]): LinkAddress[] {
  try {
    const links = ownLinks();
    if (links.length === 0) problems.push('this machine has no IPv4 address but its own');
    return links;
  } catch (error) {
    problems.push((error as Error).message);
    return [];
  }
}

function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return Promise.race([
    work,
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
  ]);
}
