import { expect, test } from 'vitest';
import { describeRepair } from '../../../../functions/command-line/repair/describe-repair.ts';
import type { RepairReport } from '../../../../functions/command-line/repair/repair.ts';

const NOTHING: RepairReport = {
  ...{ dryRun: false, uncovered: [], objects: [], packs: [], faults: [], unneeded: [], damaged: 0, findings: [] },
};
const objects = (count: number): RepairReport['objects'] =>
  Array.from({ length: count }, (_, at) => ({ key: `pages/${at}`, outcome: 'repaired' }));

test('all that was put back is told up to a thousand objects, of more the first thousand and how many there are', () => {
  expect(describeRepair(NOTHING)).toEqual(['Nothing is damaged or missing.']);
  expect(describeRepair({ ...NOTHING, objects: objects(1000) })).toHaveLength(1000);
  const many = describeRepair({ ...NOTHING, objects: objects(4321) });
  expect(many).toHaveLength(1001);
  expect(many.slice(-2)).toEqual(['put back    pages/999', 'And 3,321 more objects: see --json.']);
});

test('so are faults of sources, and one object more is one', () => {
  const faults = Array.from({ length: 1001 }, (_, at) => `pages/${at} cannot be read`);
  expect(describeRepair({ ...NOTHING, objects: objects(1001), faults }).filter((line) => /^And/.test(line))).toEqual([
    'And 1 more object: see --json.',
    'And 1 more fault: see --json.',
  ]);
});
