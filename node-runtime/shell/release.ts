/** The version of this release: one for all packages (a test compares it with theirs). */
export const release = '0.1.0';
