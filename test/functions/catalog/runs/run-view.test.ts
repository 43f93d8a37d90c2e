import { describe, expect, test } from 'vitest';
import type { RunRecord } from '../../../../functions/catalog/registry/records.ts';
import { type MemberFinding, viewMember, viewRun } from '../../../../functions/catalog/runs/run-view.ts';

const MOMENT = { takenAt: '2026-11-20T12:00:00Z', windowMs: 12, checkpointMs: 4, problems: {} };
const RECORD: RunRecord = {
  ...{
    run: '20261120-120000-abcdef',
    policy: 'shop',
    vault: 'main',
    startedAt: '2026-11-20T12:00:00Z',
    quiesce: 'prefer',
  },
  members: ['s1', 's2'].map((server) => ({ server, name: server, host: 'c1', exporter: 'https://c1', disks: [] })),
};

function stateOf(record: RunRecord, ...states: readonly (string | MemberFinding)[]): string {
  const findings = states.map((state) => (typeof state === 'string' ? { said: { state, disks: [] } } : state));
  return viewRun(
    record,
    record.members.map((member, index) => viewMember(record, member, findings[index])),
  ).state;
}

describe('a run is', () => {
  const held = { ...RECORD, moment: MOMENT };
  test.each<[string, RunRecord, (string | MemberFinding)[]]>([
    ['started', RECORD, ['prepared', { unknown: true }]],
    ['exporting', held, ['staged', 'exporting']],
    ['exporting', held, ['failed', 'held']],
    ['staged', held, ['staged', 'staged']],
    ['failed', held, ['staged', 'failed']],
    ['failed', held, ['staged', { silent: 'down' }]],
    ['failed', held, ['staged', { unknown: true }]],
    ['failed', held, ['staged', 'dancing']],
    ['failed', held, ['staged', 'ended']],
    ['failed', { ...RECORD, moment: { ...MOMENT, problems: { s2: 'frozen too long' } } }, ['staged', 'staged']],
    ['committed', { ...held, ended: { outcome: 'committed', at: MOMENT.takenAt } }, []],
    ['abandoned', { ...RECORD, ended: { outcome: 'abandoned', at: MOMENT.takenAt } }, []],
  ])('%s', (state, record, said) => {
    expect(stateOf(record, ...said)).toBe(state);
  });
});

test('a view never has 64 KiB, and shows first what went wrong', () => {
  const problem = 'ж'.repeat(2000);
  const members = Array.from({ length: 250 }, (_, n) => ({
    ...{ server: `s${n}`, name: 'ж'.repeat(255), host: 'h'.repeat(255), exporter: 'https://c1', disks: [] },
    ...(n < 200 ? {} : { problem }),
  }));
  const record: RunRecord = {
    ...RECORD,
    members,
    moment: MOMENT,
    ended: { outcome: 'committed', at: MOMENT.takenAt, missing: members.map(() => 'm'.repeat(36)) },
  };
  const view = viewRun(
    record,
    members.map((member) => viewMember(record, member, undefined)),
  );
  expect(Buffer.byteLength(JSON.stringify(view))).toBeLessThan(65_536);
  expect(view.counts).toEqual({ ended: 200, failed: 50 });
  expect(view.members[0]?.state).toBe('failed');
});
