import { hostname, networkInterfaces } from 'node:os';

/** The addresses of this machine at which others may reach it, IPv4 first. */
export function ownAddresses(): string[] {
  const found = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outer = found.filter(({ internal, scopeid }) => !internal && !scopeid); // link-local ones need a zone to be of use
  return outer.sort((a, b) => a.family.localeCompare(b.family)).map(({ address }) => address);
}

/** What the broker's certificate is for: every name and address that it may be asked by. */
export function certifiedNames(host: string): string[] {
  const name = hostname();
  const wanted = [host, name, `${name}.local`, 'localhost', '127.0.0.1', '::1', ...ownAddresses()];
  return [...new Set(wanted)].filter((each) => !isAny(each)).sort();
}

export function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
