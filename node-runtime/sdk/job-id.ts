import { limits } from '../contract/index.ts';

/** No vowels and nothing that looks like another: no words, and it can be read out. */
const alphabet = '23456789bcdfghjkmnpqrstvwxz';
const suffixCharacters = 6;

/** `flights-7k2m9q`: the name as far as a topic can carry it, or the names of a schedule's occurrences, and 28 random bits. */
export function makeJobId(name: string | undefined, random: () => number, isSchedule = false): string {
  const most = (isSchedule ? limits.scheduleCharacters : limits.identifierCharacters) - suffixCharacters - 1;
  const slug = (name ?? '')
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .slice(0, most)
    .replace(/^-+|-+$/g, '');
  let suffix = '';
  for (let i = 0; i < suffixCharacters; i++) suffix += alphabet[Math.floor(random() * alphabet.length)];
  return `${slug === '' ? 'job' : slug}-${suffix}`;
}
