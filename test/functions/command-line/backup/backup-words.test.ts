import { expect, test } from 'vitest';
import type { FullReason, HeldMoment } from '#vault/staging/changed-block-source.ts';
import { describePlan, watchBackup } from '../../../../functions/command-line/backup/backup-watch.ts';
import { auditWords, consistencyWords, readingWords } from '../../../../functions/command-line/backup/backup-words.ts';
import { openScreen } from '../../../../functions/command-line/screen.ts';
import { captureStreams } from '../captured-streams.ts';

const REASONS: Record<FullReason, true> = {
  'first-backup': true,
  'no-bitmap-support': true,
  'bitmap-missing': true,
  'bitmap-inconsistent': true,
  'bitmap-not-recording': true,
  'bitmap-wrong-granularity': true,
  'bitmap-parent-unknown': true,
  'disk-resized': true,
  'bitmap-distrusted': true,
  'no-common-point': true,
  'asked-for': true,
};

test.each(Object.keys(REASONS))('the reason %s for a full read is told in words', (reason) => {
  expect(readingWords({ base: undefined, fullReason: reason })).toMatch(/^full: \w+ \w+/);
});

test('of each backup is said of which group it is, also of the image that disks were built on', () => {
  const said: string[] = [];
  const screen = { ...openScreen(captureStreams().streams, false), lines: (...texts: string[]) => said.push(...texts) };
  const watch = watchBackup(screen, { update: () => undefined, phase: () => undefined, end: () => undefined });
  const image = `image/${'ab'.repeat(32)}`;
  for (const group of [image, 'web']) watch.planned({ plans: [] } as unknown as HeldMoment, 65_536, group);
  expect(said).toEqual([`Backing up 0 disks of group ${image}:`, 'Backing up 0 disks of group web:']);
});

test('a plan says for each disk what will be read and why', () => {
  const disk = { name: 'root', size: 8 * 1024 ** 3, origin: '/images/root.qcow2' };
  const nothing = { zero: [], audit: [] };
  const plans = [
    {
      disk,
      base: '20261120-191503-7c1e9a',
      fullReason: undefined,
      ...nothing,
      data: [{ first: 5, count: 16 }],
      audit: [{ first: 90, count: 2 }],
    },
    {
      disk: { ...disk, name: 'd\n', size: 65_536 },
      base: undefined,
      fullReason: 'first-backup' as const,
      ...nothing,
      data: [],
    },
  ];
  expect(describePlan({ plans }, 'web')).toEqual([
    'Backing up 2 disks of group web:',
    '  root   8 GiB  1 MiB to read, 128 KiB to audit (incremental since 20261120-191503-7c1e9a)',
    '  d\\n   64 KiB  0 B to read (full: the first backup of this disk)',
  ]);
});

test('the consistency says how it came about', () => {
  expect(consistencyWords({ consistency: 'file-system', consistencyNote: '', frozenMs: 230 })).toBe(
    'file-system consistent, frozen for 0.2 s',
  );
  expect(consistencyWords({ consistency: 'crash', consistencyNote: 'the agent did not answer', frozenMs: 0 })).toBe(
    'crash consistent (the agent did not answer)',
  );
});

test('an audit that found changes is not told like one that found none', () => {
  expect(auditWords({ auditedSegments: 0, auditFailures: 0 }, undefined)).toBeUndefined();
  expect(auditWords({ auditedSegments: 0, auditFailures: 0 }, 'x')).toBe('none');
  expect(auditWords({ auditedSegments: 1, auditFailures: 0 }, 'x')).toBe('1 clean segment compared, all unchanged');
  expect(auditWords({ auditedSegments: 256, auditFailures: 3 }, 'x')).toBe(
    '256 clean segments compared, 3 HAD CHANGED',
  );
});
