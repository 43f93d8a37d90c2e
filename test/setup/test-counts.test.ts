import { expect, test } from 'vitest';
import { addCounts, countsLine, countTests, type VitestReport } from './test-counts.ts';

const clean: VitestReport = {
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 1,
  numTodoTests: 1,
  testResults: [],
};

test('a clean run counts its tests; pending and todo are skipped', () => {
  expect(countTests(clean, true)).toEqual({ passed: 3, failed: 0, skipped: 2, triedAgain: [] });
});

test('a file that failed before its tests counts as one failed test', () => {
  const testResults = [{ status: 'failed', assertionResults: [] }];
  expect(countTests({ ...clean, testResults }, false).failed).toBe(1);
});

test('a failed test is not counted again for its file', () => {
  const testResults = [{ status: 'failed', assertionResults: [{ status: 'failed' }] }];
  expect(countTests({ ...clean, numFailedTests: 1, testResults }, false).failed).toBe(1);
});

test('a run that fails without a failed test counts as one: an error outside any test', () => {
  expect(countTests(clean, false).failed).toBe(1);
});

test('a run without a report has failed', () => {
  expect(countTests(undefined, false)).toEqual({ passed: 0, failed: 1, skipped: 0, triedAgain: [] });
});

test('a test that passed when it was tried again is told, with why it had failed', () => {
  const again = {
    status: 'passed',
    fullName: ' a vault is made',
    failureMessages: ['Error: busy\n    at x', 'Error: late'],
  };
  const failed = { status: 'failed', fullName: 'another', failureMessages: ['Error: no'] };
  const once = { status: 'passed', fullName: 'a third', failureMessages: [] };
  const testResults = [{ status: 'failed', assertionResults: [again, failed, once] }];
  expect(countTests({ ...clean, testResults }, false).triedAgain).toEqual([
    'Passed when tried again: a vault is made. Before: Error: busy; Error: late',
  ]);
});

test('the last line adds all runs up', () => {
  const runs = [countTests(clean, true), countTests(undefined, false)];
  expect(countsLine(addCounts(runs))).toBe('3 passed, 1 failed, 2 skipped');
});
