import { codeOf } from '#vault/errors.ts';
import type { HeldMoment } from '#vault/staging/changed-block-source.ts';
import { plannedBytes } from '#vault/staging/export-disk.ts';
import type { MemberReport, MemberState } from './member-report.ts';

/** How far a member is, for those who ask, and on disk for the next exporter. */
export interface MemberStatus {
  readonly report: MemberReport;
  is(...states: readonly MemberState[]): boolean;
  /** What it failed with before is forgotten. */
  set(more: Partial<MemberReport>): void;
  setFailed(error: unknown, retryable: boolean): void;
  /** Says what the moment's export will read. */
  show(moment: HeldMoment): void;
  addProgress(disk: string, bytes: number): void;
  addKnown(disk: string, bytes: number): void;
}

/** Programs' own words may be long, and workflow engines refuse what is. */
const LONGEST_TEXT = 1000;

export function createMemberStatus(first: MemberReport): MemberStatus {
  let report = first;
  return {
    get report() {
      return report;
    },
    is: (...states) => states.includes(report.state),
    set: (more) => {
      report = { ...withoutFailure(report), ...more };
    },
    setFailed: (error, retryable) => {
      const message = (error instanceof Error ? error.message : String(error)).slice(0, LONGEST_TEXT);
      const problem = { code: codeOf(error) ?? 'internal', message };
      report = { ...withoutFailure(report), state: 'failed', problem, ...(retryable ? { retryable } : {}) };
    },
    show: (moment) => {
      report = { ...report, ...momentOf(moment) };
    },
    addProgress: (name, bytes) => {
      const add = (bytesDone: number) => bytesDone + bytes;
      const disks = report.disks.map((disk) =>
        disk.name === name ? { ...disk, bytesDone: add(disk.bytesDone) } : disk,
      );
      report = { ...report, disks };
    },
    addKnown: (name, bytes) => {
      const disks = report.disks.map((disk) =>
        disk.name === name ? { ...disk, bytesKnown: (disk.bytesKnown ?? 0) + bytes } : disk,
      );
      report = { ...report, disks };
    },
  };
}

function withoutFailure({ problem: _, retryable: __, ...report }: MemberReport): MemberReport {
  return report;
}

function momentOf({ consistency, consistencyNote: note, frozenMs, takenAt, plans }: HeldMoment): Partial<MemberReport> {
  const disks = plans.map((plan) => ({
    ...{ name: plan.disk.name, bytesTotal: plannedBytes(plan), bytesDone: 0 },
    ...(plan.fullReason === undefined ? {} : { fullReason: plan.fullReason }),
  }));
  const consistencyNote = note.slice(0, LONGEST_TEXT);
  return { ...{ consistency, consistencyNote, frozenMs, disks }, takenAt: takenAt.toISOString() };
}
