/** The version of this release: one for all packages (a test compares it with theirs). */
export const release = '0.1.0';

/** The day of this release: where a machine's clock is not right, it is at least this late. */
export const releasedMs = Date.parse('2026-11-01T00:00:00Z');
