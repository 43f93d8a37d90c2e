import pLimit from 'p-limit';
import { knownImage } from '#vault/images.ts';
import type { VaultState } from '#vault/journal/state.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { disksOf } from '../exporters/exporter-client.ts';
import type { RunMember, RunRecord } from '../registry/records.ts';
import { updateRecord } from '../registry/update-record.ts';
import { type ImageStep, stepImage } from './image-run.ts';

/** How the images do that a run's disks were built on. */
export interface ImagesView {
  /** `ready`: nothing more will come of waiting; disks whose image could not be stored are read in full. */
  readonly state: 'ready' | 'storing';
  readonly images: readonly ImageView[];
}

export interface ImageView {
  readonly image: string;
  /** `reading`: an exporter computes its digest; it has no name yet. */
  readonly state: 'reading' | 'storing' | 'stored' | 'failed';
  readonly bytesDone?: number;
  readonly bytesTotal?: number;
  readonly problem?: string;
}

/** Then its servers are read in full, this time. */
const MOST_FAILURES = 2;
const AT_ONCE = 4;
const MOST_SHOWN = 100;
const LONGEST_PROBLEM = 300;

/** Whether images of the run's disks are yet to be stored: then it is worth waiting before its moment is taken. */
export function awaitsImages(record: RunRecord, state: VaultState): boolean {
  const { images, reading } = wantedBy(record);
  return reading || images.some((digest) => isWanted(record, state, digest));
}

/**
 * Sees to it that the images which a run's disks were built on are in its vault, each backed up once for all servers, by the exporter of one
 * of them. Each call takes that a step further; any process may serve the next one. Throws what opening the vault throws.
 */
export async function storeImages(catalog: Catalog, caller: Caller, given: RunRecord): Promise<ImagesView> {
  const record = await askAgain(catalog, caller, given);
  const { tenant } = await catalog.runs.open(caller, record);
  const state = await tenant.vault.journal.refresh();
  const { images, reading } = wantedBy(record);
  const views = await pLimit(AT_ONCE).map([...images], async (image): Promise<ImageView> => {
    if (knownImage(state, image) !== undefined) return { image, state: 'stored' };
    if (!isWanted(record, state, image)) return { image, state: 'failed' };
    // The vault may have it by now, from another run.
    return { image, ...shown(await stepOnce(catalog, caller, record, image)) };
  });
  const all: ImageView[] = [...views, ...(reading ? [{ image: '', state: 'reading' } as const] : [])];
  const isBusy = all.some(({ state: now }) => now === 'storing' || now === 'reading');
  return { state: isBusy ? 'storing' : 'ready', images: all.slice(0, MOST_SHOWN) };
}

/** One call at a time takes the step; a failure is counted, so that nobody waits for ever. */
async function stepOnce(catalog: Catalog, caller: Caller, record: RunRecord, digest: string): Promise<ImageStep> {
  const { tenant } = await catalog.runs.open(caller, record);
  const name = `image ${caller.project} ${tenant.vault.id} ${digest}`;
  const step = await catalog.runs.once(name, () => stepImage(catalog, caller, record, tenant.vault, digest));
  if (step.state !== 'failed') return step;
  const counted = await updateRecord(catalog.registry, 'runs', [caller.project, record.run], (now) => ({
    ...now,
    imageFailures: { ...now.imageFailures, [digest]: (now.imageFailures?.[digest] ?? 0) + 1 },
  }));
  return (counted.imageFailures?.[digest] ?? 0) < MOST_FAILURES
    ? { state: 'storing', bytesDone: 0, bytesTotal: 0 }
    : step;
}

function shown(step: ImageStep): Omit<ImageView, 'image'> {
  return step.state === 'failed' ? { ...step, problem: step.problem.slice(0, LONGEST_PROBLEM) } : step;
}

function wantedBy({ members }: RunRecord) {
  const digests = members.flatMap(({ problem, disks }) =>
    problem === undefined ? disks.flatMap(({ image }) => image ?? []) : [],
  );
  return { images: [...new Set(digests)].filter((digest) => digest !== ''), reading: digests.includes('') };
}

function isWanted({ imageFailures }: RunRecord, state: VaultState, digest: string): boolean {
  return knownImage(state, digest) === undefined && (imageFailures?.[digest] ?? 0) < MOST_FAILURES;
}

/** Asks exporters again that were still reading an image when the run was started. */
async function askAgain(catalog: Catalog, caller: Caller, record: RunRecord): Promise<RunRecord> {
  const reading = record.members.filter(({ disks }) => disks.some(({ image }) => image === ''));
  if (reading.length === 0) return record;
  const found = new Map(
    await pLimit(AT_ONCE).map(reading, async (member) => [member.server, await imagesOf(member, caller)] as const),
  );
  return updateRecord(catalog.registry, 'runs', [caller.project, record.run], (now) => ({
    ...now,
    members: now.members.map((member) => withImages(member, found.get(member.server))),
  }));
}

/** Digests by the exporter's name of the disk. An exporter that does not answer is asked no more: its disks are read in full. */
async function imagesOf(
  { server, host, exporter }: RunMember,
  { token }: Caller,
): Promise<ReadonlyMap<string, string>> {
  if (host === undefined || exporter === undefined) return new Map();
  const disks = await disksOf({ server, host, exporter }, token, 'yes').catch(() => []);
  return new Map(disks.flatMap(({ name, imageDigest }) => (imageDigest === undefined ? [] : [[name, imageDigest]])));
}

function withImages(member: RunMember, found: ReadonlyMap<string, string> | undefined): RunMember {
  if (found === undefined) return member;
  const disks = member.disks.map(({ image, ...disk }) => {
    const digest = image === '' ? found.get(disk.source) : image;
    return { ...disk, ...(digest === undefined ? {} : { image: digest }) };
  });
  return { ...member, disks };
}
