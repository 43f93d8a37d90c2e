import pLimit, { type LimitFunction } from 'p-limit';
import { EkkoError } from '#vault/errors.ts';
import type { ServerTicket } from '#vault/export-ticket.ts';
import type { VaultAnswer, VaultQuestion } from '#vault/staging/ask-first.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { LibvirtSource } from '../libvirt/libvirt-source.ts';
import type { Budget } from './budget.ts';
import { createHeldServer, type HeldServer } from './held-server.ts';
import type { MemberReport } from './member-report.ts';
import { createMemberStatus, type MemberStatus } from './member-status.ts';
import type { RunRecords } from './run-records.ts';

/** How the catalog is asked with the token of the latest call: the one before may have ended. */
export interface CatalogAccess {
  /** Of that token, so that another one is known; nothing that could be used. */
  readonly digest: string;
  /** Tells the catalog that a part is staged. Never rejects. */
  notify(key: string): Promise<void>;
  /** Asks which segments of disk `disk` (its number in the run) the vault has. */
  ask(disk: number, question: VaultQuestion): Promise<VaultAnswer>;
  /** Asks for the ticket again, whose permission to upload then lasts longer. */
  ticket(): Promise<ServerTicket>;
}

/** What a member is made of. */
export interface MemberParts {
  readonly run: string;
  readonly server: string;
  /** Of the server's owner. */
  readonly project: string;
  readonly source: LibvirtSource;
  readonly records: RunRecords;
  readonly budget: Budget;
  /** Lets as many exports run as may at once. */
  readonly exports: LimitFunction;
  /** Where `ticket` says that parts go. */
  readonly stagingFor: (ticket: () => ServerTicket, renew: () => Promise<void>) => Pick<ObjectStore, 'create'>;
  readonly auditShare: number;
  /** Between the freeze and the thaw; then the moment is given up. */
  readonly watchdogMs: number;
  /** For a moment that nothing is done with. */
  readonly holdMs: number;
  /** For the log: what failed, for people. */
  readonly onFailure: (run: string, server: string, message: string) => void;
}

/** What the steps of a member share. */
export interface MemberContext {
  readonly parts: MemberParts;
  readonly status: MemberStatus;
  readonly held: HeldServer;
  /** Steps happen one after the other. */
  readonly oneByOne: LimitFunction;
  /** What ends by time, as the latest call brought it. */
  pass: { readonly ticket: ServerTicket; readonly access: CatalogAccess } | undefined;
  /** From the first call of the end on nothing fails any more. */
  ending: boolean;
  /** Gives the moment up, unless something is done within so many milliseconds. */
  expire(milliseconds: number, why: string): void;
  stopTimer(): void;
}

export function createMemberContext(parts: MemberParts, earlier: MemberReport | undefined): MemberContext {
  let timer: NodeJS.Timeout | undefined;
  const stopTimer = () => clearTimeout(timer);
  const context: MemberContext = {
    ...{ parts, pass: undefined, ending: false, stopTimer },
    status: createMemberStatus(earlier ?? { state: 'prepared', disks: [] }),
    held: createHeldServer(parts.source),
    oneByOne: pLimit(1),
    expire: (milliseconds, why) => {
      stopTimer();
      const giveUpNow = () => context.oneByOne(() => giveUp(context, new EkkoError('busy', why)));
      timer = setTimeout(() => void giveUpNow().catch(() => undefined), milliseconds).unref();
    },
  };
  return context;
}

/** The ticket of the latest call. Throws `busy` where none came, as after a restart. */
export function passOf({ pass }: MemberContext): NonNullable<MemberContext['pass']> {
  if (pass !== undefined) return pass;
  throw new EkkoError('busy', 'The exporter has no ticket for this run: PUT brings it');
}

/** A ticket with a new permission to upload. Where there is none to be had, the old one's refusal says what is wrong. */
export async function renewTicket(context: MemberContext): Promise<void> {
  const { access } = passOf(context);
  const ticket = await access.ticket().catch(() => undefined);
  if (ticket !== undefined) context.pass = { ticket, access: passOf(context).access };
}

export function keepRecord({ parts: { records, run, server, project }, status }: MemberContext): Promise<void> {
  return records.write({ run, server, project, report: status.report });
}

/** Fails for good, and lets go of the guest. The bitmaps are judged later. */
export async function giveUp(context: MemberContext, error: unknown): Promise<void> {
  if (context.ending || context.status.is('staged')) return;
  context.stopTimer();
  // What cannot be let go now, the next run's preparation clears away.
  await context.held.letGo('undecided').catch(() => undefined);
  await setFailed(context, error, false);
}

export async function setFailed(context: MemberContext, error: unknown, retryable: boolean): Promise<void> {
  const { parts, status } = context;
  status.setFailed(error, retryable);
  parts.onFailure(parts.run, parts.server, status.report.problem?.message ?? '');
  await keepRecord(context);
}
