/** What the owner of a device allows, and what it means at a moment. */
export * from './hours.ts';
export * from './judge.ts';
export * from './preferences.ts';
