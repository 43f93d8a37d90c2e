import { EkkoError } from '#vault/errors.ts';
import { endMember, type MemberPlace, prepareMember, problemIn, stepMember } from '../exporters/exporter-client.ts';
import type { RunRecord, TakenMoment } from '../registry/records.ts';
import { forEachMember, placesOf } from './run-members.ts';

export interface MomentWish {
  readonly token: string;
  /** URL of this API, for the exporters. */
  readonly catalog: string;
  readonly now: () => Date;
}

/**
 * Takes one moment of all members: each step is done by all before the next begins. A member that fails in a step takes no part in the
 * later ones, and the others go on; whatever was asked to freeze is asked to thaw. Throws `exporter-failed` when no member is left.
 */
export async function takeMoment(record: RunRecord, wish: MomentWish): Promise<TakenMoment> {
  const problems = new Map<string, string>();
  const all = placesOf(record);
  const left = () => all.filter(({ server }) => !problems.has(server));
  const step = async (places: readonly MemberPlace[], work: (place: MemberPlace) => Promise<unknown>) => {
    for (const [server, problem] of await forEachMember(places, work))
      problems.set(server, problems.get(server) ?? problem);
    return performance.now();
  };

  await step(all, (place) => prepare(record, place, wish));
  const takenAt = wish.now();
  const frozen = left();
  const began = performance.now();
  const checkpointing = await step(frozen, (place) => stepMember(place, wish.token, 'freeze'));
  const checkpointed = await step(left(), (place) => stepMember(place, wish.token, 'checkpoint'));
  // Also those that did not answer: they may be frozen all the same.
  const thawed = await step(frozen, (place) => stepMember(place, wish.token, 'thaw'));
  const failed = all.filter(({ server }) => problems.has(server));
  await forEachMember(failed, (place) => endMember(place, wish.token, 'abandoned'));
  if (left().length === 0) throw nobodyLeft(record.run, problems);
  return {
    takenAt: takenAt.toISOString(),
    windowMs: rounded(thawed - began),
    checkpointMs: rounded(checkpointed - checkpointing),
    problems: Object.fromEntries(problems),
  };
}

/** What an attempt that was broken off has left is ended first: its checkpoint is of another moment. */
async function prepare(record: RunRecord, place: MemberPlace, { token, catalog }: MomentWish): Promise<void> {
  const names = record.members.find(({ server }) => server === place.server)?.disks.map(({ source }) => source) ?? [];
  const first = await prepareMember(place, token, catalog, names);
  if (first.state === 'prepared') return;
  await endMember(place, token, 'abandoned');
  const second = await prepareMember(place, token, catalog, names);
  if (second.state === 'prepared') return;
  throw new EkkoError(
    'exporter-failed',
    problemIn(second) ?? `The exporter of host ${place.host} cannot prepare: it is in state ${second.state}.`,
  );
}

/** Has all that hold the moment read and stage it; who cannot is found by looking. */
export async function startExports(record: RunRecord, token: string, servers?: ReadonlySet<string>): Promise<void> {
  const places = placesOf(record).filter(({ server }) => servers?.has(server) ?? true);
  await forEachMember(places, (place) => stepMember(place, token, 'export'));
}

function nobodyLeft(run: string, problems: ReadonlyMap<string, string>): EkkoError {
  const words = [...new Set(problems.values())].slice(0, 3).join(' ');
  return new EkkoError('exporter-failed', `No member of run ${run} could be held still. ${words}`);
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
