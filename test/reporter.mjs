import mocha from 'mocha';

const { Base, Spec } = mocha.reporters;
const { EVENT_RUN_BEGIN, EVENT_TEST_PENDING } = mocha.Runner.constants;
const graceMs = 15_000;

/** Like `spec`; says what was skipped and why, and ends with the line `N passed, N failed`. In CI a skip is a failure. */
export default class Reporter extends Spec {
  skipped = [];

  constructor(runner, options) {
    super(runner, options);
    runner.once(EVENT_RUN_BEGIN, () => {
      if (process.env.CI === 'true') runner.forbidPending = true;
    });
    runner.on(EVENT_TEST_PENDING, (test) => this.skipped.push(test));
  }

  epilogue() {
    super.epilogue();
    const forbidden = this.failures.filter((test) => reasonOf(test) !== undefined);
    for (const test of [...this.skipped, ...forbidden]) {
      Base.consoleLog('skipped: %s: %s', test.fullTitle(), reasonOf(test) ?? 'no reason given');
    }
    const { passes = 0, failures = 0 } = this.stats;
    const skips = this.skipped.length === 0 ? '' : `, ${this.skipped.length} skipped`;
    const summary = `${passes} passed, ${failures} failed${skips}`;
    Base.consoleLog(summary);
    setTimeout(() => endForced(summary), graceMs).unref();
  }
}

/** Set by `skip` of `test/support/skip.ts`, on the test or on a suite around it. */
function reasonOf(test) {
  for (let at = test; at; at = at.parent) {
    if (at.skipReason !== undefined) return at.skipReason;
  }
  return undefined;
}

/** Something still keeps the process alive: a test left it behind, and that is a failure too. */
function endForced(summary) {
  const open = process.getActiveResourcesInfo().join(', ');
  Base.consoleLog('the tests have ended but the process has not; open: %s', open);
  Base.consoleLog(summary);
  process.once('exit', () => {
    process.exitCode = 1;
  });
  process.exit(1);
}
