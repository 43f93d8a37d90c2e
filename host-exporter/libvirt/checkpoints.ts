/**
 * libvirt's knowledge of checkpoints beside the bitmaps themselves. It stands for as long as a backup takes to begin, never between runs:
 * Nova cannot undefine a domain that has any, and fails a reboot over it.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OWN_PREFIX } from '../changed-blocks/bitmaps.ts';
import { isQemuGone } from '../qemu/qmp-client.ts';
import { checkpointDocument } from './backup-documents.ts';
import { findDisks } from './domain-disks.ts';
import type { Virsh } from './virsh.ts';

/** The domain that is worked on, and where documents for `virsh` may be put. */
export interface DomainPlace {
  readonly virsh: Virsh;
  readonly uuid: string;
  readonly stateDirectory: string;
}

/** Gives `work` a file with a document, as `virsh` wants it. */
export async function withDocument<T>(
  { stateDirectory, uuid }: DomainPlace,
  name: string,
  text: string,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(stateDirectory, `${OWN_PREFIX}${uuid}-${name}.xml`);
  await writeFile(path, text, { mode: 0o600 });
  try {
    return await work(path);
  } finally {
    await rm(path, { force: true });
  }
}

/** A checkpoint to be made known to libvirt: the bitmaps called `name` on `devices`. */
export interface KnownCheckpoint {
  readonly name: string;
  readonly devices: readonly string[];
}

/** Makes checkpoints known to libvirt, and has it run the commands `then` right after, in one process. Throws what one of them fails with. */
export async function makeKnown(
  place: DomainPlace,
  [first, ...others]: readonly KnownCheckpoint[],
  then: readonly (readonly string[])[] = [],
): Promise<void> {
  if (first === undefined) return then.length === 0 ? undefined : place.virsh.runAll(then);
  await withDocument(place, first.name, checkpointDocument(first.name, first.devices), (path) =>
    makeKnown(place, others, [['checkpoint-create', place.uuid, path, '--redefine'], ...then]),
  );
}

/** Lets libvirt forget every checkpoint of ours; it does so for a guest that is stopped, too. The bitmaps stay. */
export async function forgetCheckpoints({ virsh, uuid }: DomainPlace): Promise<void> {
  const known = (await virsh.run(['checkpoint-list', uuid, '--name'])).split('\n');
  const ours = known.filter((name) => name.startsWith(OWN_PREFIX));
  if (ours.length > 0) await virsh.runAll(ours.map((name) => ['checkpoint-delete', uuid, name, '--metadata']));
}

/**
 * Removes those of our bitmaps on the disks `names` that `select` accepts by name, as they are now. One that cannot be removed stays: a later
 * commit finds it again. Disks that are gone have taken theirs along.
 */
export async function removeBitmaps(
  place: DomainPlace,
  names: readonly string[],
  select: (bitmap: string) => boolean,
): Promise<void> {
  const disks = (await findDisks(place.virsh, place.uuid, undefined)).filter(({ name }) => names.includes(name));
  const found = disks.flatMap(({ device, bitmaps }) => bitmaps.map(({ name }) => ({ device, bitmap: name })));
  const chosen = found.filter(({ bitmap }) => bitmap.startsWith(OWN_PREFIX) && select(bitmap));
  for (const [bitmap, on] of Map.groupBy(chosen, (one) => one.bitmap)) {
    const devices = on.map(({ device }) => device);
    await removeBitmap(place, bitmap, devices);
  }
}

/** A checkpoint without a parent: libvirt removes its bitmaps and touches no other. */
async function removeBitmap(place: DomainPlace, name: string, devices: readonly string[]): Promise<void> {
  try {
    await makeKnown(place, [{ name, devices }], [['checkpoint-delete', place.uuid, name]]);
  } catch (error) {
    // Also where the guest was stopped meanwhile: Nova is about to undefine it.
    await forgetCheckpoints(place);
    if (isQemuGone(error)) throw error;
  }
}
