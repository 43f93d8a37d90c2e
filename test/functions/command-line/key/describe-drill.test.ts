import { expect, test } from 'vitest';
import type { DrillReport } from '../../../../functions/command-line/key/check-key.ts';
import { describeDrill } from '../../../../functions/command-line/key/describe-drill.ts';

const AT = '2026-11-20T19:15:03.000Z';
const report: DrillReport = {
  vault: 'f'.repeat(32),
  key: '300c9c9603b92a4b',
  kind: 'escrow',
  ...{ entries: 57, points: 3, segments: 2, missing: [] },
  epochs: [
    { epoch: 1, at: AT, objects: 4 },
    { epoch: 2, at: AT, objects: 0 },
  ],
};

test('a key that restores the vault is said to, with what was looked at', () => {
  expect(describeDrill(report)).toEqual([
    'This escrow code (300c9c9603b92a4b) restores this vault: key epochs 1-2, 4 objects and 2 segments opened, 57 entries of the journal read.',
    '  epoch 1, since 2026-11-20: 4 objects opened',
    '  epoch 2, since 2026-11-20: nothing that a restore needs was found',
  ]);
});

test('what could not be opened is named', () => {
  const lines = describeDrill({ ...report, missing: ['Restore point 1: pages/aa is missing.'] });
  expect(lines[0]).toMatch(/opens the vault, but not all that a restore needs/);
  expect(lines).toContain('Restore point 1: pages/aa is missing.');
});

test('a vault without restore points proves little', () => {
  const lines = describeDrill({ ...report, points: 0, epochs: [{ epoch: 1, at: AT, objects: 0 }] });
  expect(lines[0]).toMatch(/key epoch 1,/);
  expect(lines.at(-1)).toMatch(/no restore point yet/);
});
