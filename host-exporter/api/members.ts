import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { EkkoError } from '#vault/errors.ts';
import { digestInName } from '#vault/images.ts';
import { openTemporaryUrlStore } from '#vault/staging/temporary-url-store.ts';
import type { MeasuredImages } from '../changed-blocks/measured-images.ts';
import { openImageSource } from '../libvirt/image-source.ts';
import { type LibvirtSource, openLibvirtSource } from '../libvirt/libvirt-source.ts';
import { openVirsh } from '../libvirt/virsh.ts';
import { thawAllLeftBehind } from '../qemu/must-thaw.ts';
import type { Budget } from './budget.ts';
import type { ExporterSettings } from './exporter-settings.ts';
import { createMember, type Member } from './member.ts';
import type { MemberReport } from './member-report.ts';
import type { Peers } from './peers.ts';
import { openRunRecords, type RunRecord } from './run-records.ts';

/** The servers of this host that take part in runs. */
export interface Members {
  find(run: string, server: string): Member | undefined;
  /** The member, made if it is not there. `disks` are the names to protect. Throws `busy` when another run holds the server. */
  join(run: string, server: string, project: string, disks: readonly string[]): Member;
  /** Lets go of every guest. */
  leave(): Promise<void>;
}

/** Ended ones can be asked about for a while. */
const KEPT = 2000;
const THAW = { answerMs: 10_000, pauseMs: 500, patienceMs: 60_000 };

export interface MembersOptions {
  readonly settings: ExporterSettings;
  readonly peers: Peers;
  readonly budget: Budget;
  readonly images: MeasuredImages;
  readonly watchdogCommand?: readonly string[];
  readonly log: (message: string) => void;
}

/** Thaws and clears up first what an exporter that died has left behind; what it had staged can still be ended. */
export async function openMembers(options: MembersOptions): Promise<Members> {
  const { settings, peers, budget, images, log } = options;
  const records = await openRunRecords(settings.state_directory);
  const exports = pLimit(settings.exports_at_once);
  const members = new LRUCache<string, Member>({ max: KEPT });
  const keyOf = (run: string, server: string) => `${server} ${run}`;

  /** What a run of `disks` reads of a server: its disks, or the images that they were built on. */
  function openFor(server: string, disks: readonly string[]): LibvirtSource {
    if (!areImages(disks)) return open(server, disks);
    return openImageSource(openVirsh({ uri: settings.libvirt, program: 'virsh' }), server, disks, images);
  }

  function open(server: string, disks?: readonly string[]): LibvirtSource {
    return openLibvirtSource({
      connection: { uri: settings.libvirt, program: 'virsh' },
      ...{ domain: server, scratchDirectory: settings.scratch_directory, stateDirectory: settings.state_directory },
      ...{ scratchLowWater: settings.scratch_low_water, freezeMs: settings.freeze_seconds * 1000, thaw: THAW },
      watchdogMs: (settings.freeze_seconds + settings.watchdog_seconds) * 1000,
      images,
      ...(disks === undefined ? {} : { disks }),
      ...(options.watchdogCommand === undefined ? {} : { watchdogCommand: options.watchdogCommand }),
    });
  }

  function create(run: string, server: string, project: string, source: LibvirtSource, earlier?: MemberReport): Member {
    const member = createMember(
      {
        ...{ run, server, project, source, records, budget, exports },
        stagingFor: (ticket, renew) => openTemporaryUrlStore(peers, () => ticket().upload, renew),
        auditShare: settings.audit_share,
        watchdogMs: settings.watchdog_seconds * 1000,
        holdMs: settings.hold_seconds * 1000,
        onFailure: (failedRun, failed, message) => log(`Run ${failedRun}, server ${failed}: ${message}`),
      },
      earlier,
    );
    members.set(keyOf(run, server), member);
    return member;
  }

  async function pickUp({ run, server, project, report }: RunRecord): Promise<void> {
    const names = report.disks.map(({ name }) => name);
    const source = areImages(names) ? openFor(server, names) : open(server);
    if (report.state === 'staged') {
      create(run, server, project, source, report);
      return;
    }
    await source.cleanUp().catch((error: unknown) => log(`Server ${server}: ${String(error)}`));
    const problem = {
      code: 'busy',
      message: 'The exporter was restarted while it held the moment. No change is lost: run it again.',
    };
    // An export that had failed before cannot be tried again either: nothing is held any more that other runs would wait for.
    create(run, server, project, source, { ...report, state: 'failed', problem, retryable: false });
  }

  await thawAllLeftBehind(settings.state_directory, THAW);
  for (const record of await records.readAll()) await pickUp(record);

  function join(run: string, server: string, project: string, disks: readonly string[]): Member {
    const there = members.get(keyOf(run, server));
    if (there !== undefined && !isOver(there)) return there;
    const isRival = (other: Member) => other.server === server && other.run !== run && !areImages(namesOf(other));
    // Images are read beside everything else.
    if (!areImages(disks)) for (const other of [...members.values()].filter(isRival)) supersede(other);
    return create(run, server, project, openFor(server, disks));
  }

  /** An earlier run that holds nothing is forgotten: its end would take the new one's bitmaps. Throws `busy` for one that does. */
  function supersede(other: Member): void {
    if (isHolding(other)) throw new EkkoError('busy', `Run ${other.run} holds server ${other.server}: end it first.`);
    members.delete(keyOf(other.run, other.server));
    void records.remove(other.run, other.server).catch(() => undefined);
  }

  async function leave(): Promise<void> {
    await Promise.allSettled([...members.values()].map((member) => member.leave()));
  }

  return { find: (run, server) => members.get(keyOf(run, server)), join, leave };
}

/** A run that has ended, failed before it held anything, or with a restart, begins anew when it is asked for again. */
function isOver(member: Member): boolean {
  const { state, retryable } = member.report();
  return state === 'ended' || (state === 'failed' && retryable !== true);
}

function namesOf(member: Member): readonly string[] {
  return member.report().disks.map(({ name }) => name);
}

function areImages(disks: readonly string[]): boolean {
  return disks.length > 0 && disks.every((disk) => digestInName(disk) !== undefined);
}

function isHolding(member: Member): boolean {
  const { state, retryable } = member.report();
  return !['staged', 'failed', 'ended'].includes(state) || retryable === true;
}
