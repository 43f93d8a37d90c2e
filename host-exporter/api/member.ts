import pLimit, { type LimitFunction } from 'p-limit';
import { codeOf, EkkoError, type ErrorCode } from '#vault/errors.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { MomentRequest } from '../changed-blocks/changed-block-source.ts';
import type { EndableMoment } from '../changed-blocks/held-moment.ts';
import type { LibvirtSource } from '../libvirt/libvirt-source.ts';
import type { PreparedMoment } from '../libvirt/prepared-moment.ts';
import { isQemuGone } from '../qemu/qmp-client.ts';
import { plannedBytes } from '../staging/export-disk.ts';
import type { Budget } from './budget.ts';
import { exportMember } from './export-member.ts';
import type { MemberReport, MemberState } from './member-report.ts';
import type { RunRecords } from './run-records.ts';
import type { MemberTicket } from './ticket.ts';

/** A server within a run. Steps are idempotent and come in their order; one that fails lets go of the guest. */
export interface Member {
  readonly run: string;
  readonly server: string;
  /** Of the server's owner. */
  readonly project: string;
  report(): MemberReport;
  /** Replaces what ends by time: the caller's token is in `notify`, the permission to upload in `ticket`. */
  renew(ticket: MemberTicket, notify: Notify): void;
  prepare(): Promise<void>;
  freeze(): Promise<void>;
  checkpoint(): Promise<void>;
  thaw(): Promise<void>;
  /** Begins or tries again; does not wait for its end. */
  export(): void;
  end(outcome: Outcome): Promise<void>;
  /** Lets go of the guest, as the process is about to end; the bitmaps stay. */
  leave(): Promise<void>;
}

export type Outcome = 'committed' | 'abandoned';
/** Tells the catalog that a part is staged. Never rejects. */
export type Notify = (key: string) => Promise<void>;

export interface MemberParts {
  readonly run: string;
  readonly server: string;
  readonly project: string;
  readonly source: LibvirtSource;
  readonly records: RunRecords;
  readonly budget: Budget;
  /** Lets as many exports run as may at once. */
  readonly exports: LimitFunction;
  /** Where `ticket` says that parts go. */
  readonly stagingFor: (ticket: () => MemberTicket) => Pick<ObjectStore, 'create'>;
  readonly auditShare: number;
  /** Between the freeze and the thaw; then the moment is given up. */
  readonly watchdogMs: number;
  /** For a moment that nothing is done with. */
  readonly holdMs: number;
  /** For the log: what failed, for people. */
  readonly onFailure: (run: string, server: string, message: string) => void;
}

/** `earlier` is what a record says of a run that an exporter before this one took part in. */
export function createMember(parts: MemberParts, earlier?: MemberReport): Member {
  const { run, server, project, source, records } = parts;
  let report: MemberReport = earlier ?? { state: 'prepared', disks: [] };
  let ticket: MemberTicket | undefined;
  let notify: Notify = () => Promise.resolve();
  let prepared: PreparedMoment | undefined;
  let moment: EndableMoment | undefined;
  let opening: Promise<EndableMoment> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let ending = false;
  const oneByOne = pLimit(1);

  function set(more: Partial<MemberReport>): void {
    const { problem: _, retryable: __, ...rest } = report;
    report = { ...rest, ...more };
  }
  const keep = () => records.write({ run, server, project, report });
  const expectTicket = () => ticket ?? fail('bad-input', 'Ask for the member first: PUT brings the ticket');
  const isIn = (...states: readonly MemberState[]) => states.includes(report.state);

  /** Gives a moment up that nobody goes on with. */
  function expire(milliseconds: number, why: string): void {
    clearTimeout(timer);
    timer = setTimeout(() => void oneByOne(() => giveUp(new EkkoError('busy', why))), milliseconds).unref();
  }

  async function giveUp(error: unknown): Promise<void> {
    if (ending || isIn('ended', 'staged')) return;
    await letGo().catch(() => undefined);
    await setFailed(error, false);
  }

  async function setFailed(error: unknown, retryable: boolean): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    parts.onFailure(run, server, message);
    set({
      state: 'failed',
      problem: { code: codeOf(error) ?? 'internal', message },
      ...(retryable ? { retryable } : {}),
    });
    await keep();
  }

  /** Ends what is held in QEMU. The bitmaps are judged later. */
  async function letGo(): Promise<void> {
    clearTimeout(timer);
    if (moment?.held) await moment.end('undecided');
    else await prepared?.cancel();
    [prepared, moment, opening] = [undefined, undefined, undefined];
  }

  /** A step from one state to the next; asked for again it does nothing. */
  function step(
    from: MemberState,
    to: MemberState,
    work: () => Promise<void>,
    after: readonly MemberState[],
  ): Promise<void> {
    return oneByOne(async () => {
      if (isIn(to, ...after)) return;
      if (!isIn(from)) throw outOfOrder(report, to);
      try {
        await work();
        set({ state: to });
      } catch (error) {
        await giveUp(error);
        throw error;
      }
    });
  }

  const steps = () => prepared ?? fail('busy', 'The moment is not prepared any more');

  function prepare(): Promise<void> {
    return oneByOne(async () => {
      if (prepared !== undefined || moment !== undefined || isIn('staged', 'ended')) return;
      const names = expectTicket().disks.map(({ name }) => name);
      set({ state: 'prepared', disks: names.map((name) => ({ name, bytesTotal: 0, bytesDone: 0 })) });
      // Known before anything is done, so that a death leaves a trace.
      await keep();
      try {
        prepared = await source.prepare(requestOf(expectTicket(), parts.auditShare));
      } catch (error) {
        await giveUp(error);
        throw error;
      }
      expire(parts.holdMs, 'The moment was prepared and not taken in time');
    });
  }

  async function freeze(): Promise<void> {
    await step('prepared', 'frozen', () => steps().freeze(), ['checkpointed', 'held', 'exporting', 'staged']);
    if (isIn('frozen')) expire(parts.watchdogMs, 'The moment was not taken in time, and the guest was thawed');
  }

  function thaw(): Promise<void> {
    return step('checkpointed', 'held', thawAndOpen, ['exporting', 'staged']);
  }

  async function thawAndOpen(): Promise<void> {
    await steps().thaw();
    expire(parts.holdMs, 'Nobody asked for the export in time');
    opening = steps().open();
    // Looked at by the export.
    opening.then(show, () => undefined);
  }

  function show(held: EndableMoment): void {
    moment = held;
    const { consistency, consistencyNote, frozenMs, takenAt } = held;
    const disks = held.plans.map((plan) => ({
      ...{ name: plan.disk.name, bytesTotal: plannedBytes(plan), bytesDone: 0 },
      ...(plan.fullReason === undefined ? {} : { fullReason: plan.fullReason }),
    }));
    set({ ...{ consistency, consistencyNote, frozenMs, disks }, takenAt: takenAt.toISOString() });
  }

  function beginExport(): void {
    if (isIn('exporting', 'staged')) return;
    if (!isIn('held') && report.retryable !== true) throw outOfOrder(report, 'exporting');
    expectTicket();
    clearTimeout(timer);
    set({ state: 'exporting' });
    void parts.exports(exportNow);
  }

  async function exportNow(): Promise<void> {
    try {
      const held = await (opening ?? fail('busy', 'The moment is not held any more'));
      show(held);
      const staging = parts.stagingFor(expectTicket);
      await exportMember({
        ...{ moment: held, ticket: expectTicket(), staging, budget: parts.budget },
        notice: (key) => notify(key),
        progress: addProgress,
      });
      await oneByOne(() => finishExport(held));
    } catch (error) {
      await oneByOne(() => failExport(error)).catch(() => undefined);
    }
  }

  /** All is staged: QEMU has nothing to hold any more, and Nova's operations do not have to wait. */
  async function finishExport(held: EndableMoment): Promise<void> {
    if (ending || !isIn('exporting')) return;
    await held.end('undecided');
    [prepared, moment, opening] = [undefined, undefined, undefined];
    set({ state: 'staged' });
    await keep();
  }

  async function failExport(error: unknown): Promise<void> {
    if (ending || !isIn('exporting')) return;
    // Where QEMU shows nothing any more there is nothing to try again.
    const retryable = moment?.held === true && codeOf(error) !== 'qemu-failed';
    if (!retryable) return giveUp(error);
    await setFailed(error, true);
    expire(parts.holdMs, 'The failed export was not tried again in time');
  }

  function addProgress(name: string, bytes: number): void {
    const disks = report.disks.map((disk) =>
      disk.name === name ? { ...disk, bytesDone: disk.bytesDone + bytes } : disk,
    );
    report = { ...report, disks };
  }

  function end(outcome: Outcome): Promise<void> {
    return oneByOne(async () => {
      if (isIn('ended')) return;
      clearTimeout(timer);
      ending = true;
      if (moment?.held) await moment.end(outcome);
      else await endUnheld(outcome);
      [prepared, moment, opening] = [undefined, undefined, undefined];
      set({ state: 'ended' });
      await records.remove(run, server);
    });
  }

  async function endUnheld(outcome: Outcome): Promise<void> {
    await (await opening?.catch(() => undefined))?.end('undecided');
    await prepared?.cancel();
    await source.settle(run, outcome).catch((error: unknown) => {
      // The server is stopped or gone: its bitmaps are judged by the next run.
      if (!isQemuGone(error)) throw error;
    });
  }

  async function leave(): Promise<void> {
    await letGo();
    await source.close();
  }

  return {
    ...{ run, server, project, prepare, freeze, thaw, end, leave },
    report: () => report,
    renew: (nextTicket, nextNotify) => {
      [ticket, notify] = [nextTicket, nextNotify];
    },
    checkpoint: () => step('frozen', 'checkpointed', () => steps().checkpoint(), ['held', 'exporting', 'staged']),
    export: beginExport,
  };
}

function fail(code: ErrorCode, message: string): never {
  throw new EkkoError(code, message);
}

function requestOf({ run, disks, quiesce, readAll }: MemberTicket, auditShare: number): MomentRequest {
  const diskOf = (name: string) => disks.find((disk) => disk.name === name);
  return {
    ...{ run, quiesce, readAll, auditShare },
    known: (point, disk) => diskOf(disk)?.known.get(point),
    newest: (disk) => diskOf(disk)?.newest,
  };
}

function outOfOrder({ state, problem }: MemberReport, to: MemberState): EkkoError {
  const why = problem === undefined ? '' : ` (${problem.message})`;
  return new EkkoError('busy', `The server is ${state}${why}: it cannot become ${to} from there`);
}
