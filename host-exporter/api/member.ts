import type { ServerTicket } from '#vault/export-ticket.ts';
import type { LibvirtSource } from '../libvirt/libvirt-source.ts';
import { isQemuGone } from '../qemu/qmp-client.ts';
import { type CatalogAccess, createMemberContext, type MemberContext, type MemberParts } from './member-context.ts';
import { beginExport } from './member-export.ts';
import type { MemberReport } from './member-report.ts';
import { checkpointMember, freezeMember, prepareMember, thawMember } from './member-steps.ts';

/** A server within a run. Steps are idempotent and come in their order; one that fails lets go of the guest. */
export interface Member {
  readonly run: string;
  readonly server: string;
  /** Of the server's owner. */
  readonly project: string;
  report(): MemberReport;
  /** Replaces what ends by time: the caller's token is in `access`, the permission to upload in `ticket`. */
  renew(ticket: ServerTicket, access: CatalogAccess): void;
  /** A later call brought another token: that one is used from now on. */
  heard(access: CatalogAccess): void;
  prepare(): Promise<void>;
  freeze(): Promise<void>;
  checkpoint(): Promise<void>;
  thaw(): Promise<void>;
  /** Begins or tries again; does not wait for its end. */
  export(): void;
  end(outcome: 'committed' | 'abandoned'): Promise<void>;
  /** Lets go of the guest, as the process is about to end; the bitmaps stay. */
  leave(): Promise<void>;
}

/** `earlier` is what a record says of a run that an exporter before this one took part in. */
export function createMember(parts: MemberParts, earlier?: MemberReport): Member {
  const context = createMemberContext(parts, earlier);
  const { run, server, project } = parts;
  return {
    ...{ run, server, project },
    report: () => context.status.report,
    renew: (ticket, access) => {
      context.pass = { ticket, access };
    },
    heard: (access) => {
      const { pass } = context;
      if (pass !== undefined && pass.access.digest !== access.digest) context.pass = { ticket: pass.ticket, access };
    },
    prepare: () => prepareMember(context),
    freeze: () => freezeMember(context),
    checkpoint: () => checkpointMember(context),
    thaw: () => thawMember(context),
    export: () => beginExport(context),
    end: (outcome) => endMember(context, outcome),
    leave: async () => {
      context.stopTimer();
      await context.held.letGo('undecided');
    },
  };
}

function endMember(context: MemberContext, outcome: 'committed' | 'abandoned'): Promise<void> {
  const { parts, status, held, oneByOne } = context;
  return oneByOne(async () => {
    if (status.is('ended')) return;
    context.ending = true;
    context.stopTimer();
    if (!(await held.letGo(outcome))) await settle(parts.source, parts.run, outcome);
    status.set({ state: 'ended' });
    await parts.records.remove(parts.run, parts.server);
  });
}

/** A server that is stopped or gone has its bitmaps judged by the next run. */
async function settle(source: LibvirtSource, run: string, outcome: 'committed' | 'abandoned'): Promise<void> {
  await source.settle(run, outcome).catch((error: unknown) => {
    if (!isQemuGone(error)) throw error;
  });
}
