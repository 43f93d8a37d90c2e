export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Tests that passed when they were tried again: a line each, with why they had failed. */
  readonly triedAgain: readonly string[];
}

/** The part of vitest's JSON report that is read here. */
export interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly TestReport[];
  }[];
}

interface TestReport {
  readonly status: string;
  readonly fullName?: string;
  /** Of all tries. */
  readonly failureMessages?: readonly string[];
}

/**
 * Counts the tests of one vitest run. A file that failed outside its tests (an import, a hook) counts as one failed test, and so
 * does a run without a report, or one that failed (`ok` false) for another reason: no failure is without a number.
 */
export function countTests(report: VitestReport | undefined, ok: boolean): TestCounts {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0, triedAgain: [] };
  const failed = report.numFailedTests + report.testResults.filter(failedOutsideTests).length;
  return {
    passed: report.numPassedTests,
    failed: ok ? failed : Math.max(failed, 1),
    skipped: report.numPendingTests + report.numTodoTests,
    triedAgain: report.testResults.flatMap(({ assertionResults }) => assertionResults).flatMap(lineOfRetried),
  };
}

const LONGEST_REASON = 400;

function lineOfRetried({ status, fullName = '', failureMessages = [] }: TestReport): string[] {
  if (status !== 'passed' || failureMessages.length === 0) return [];
  const reasons = failureMessages.map((message) => message.split('\n', 1)[0]?.slice(0, LONGEST_REASON));
  return [`Passed when tried again: ${fullName.trim()}. Before: ${reasons.join('; ')}`];
}

function failedOutsideTests(file: VitestReport['testResults'][number]): boolean {
  return file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed');
}

export function addCounts(all: readonly TestCounts[]): TestCounts {
  const sum = (of: (counts: TestCounts) => number): number => all.reduce((total, counts) => total + of(counts), 0);
  const triedAgain = all.flatMap((counts) => counts.triedAgain);
  return { passed: sum((c) => c.passed), failed: sum((c) => c.failed), skipped: sum((c) => c.skipped), triedAgain };
}

/** The last line of `npm test`. */
export function countsLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
