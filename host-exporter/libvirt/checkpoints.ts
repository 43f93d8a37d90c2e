/**
 * libvirt's knowledge of checkpoints beside the bitmaps themselves. It stands for as long as one call of `virsh` takes, never between two:
 * Nova cannot undefine a domain that has any, and fails a reboot or a delete over it.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OWN_PREFIX } from '../changed-blocks/bitmaps.ts';
import { isQemuGone } from '../qemu/qmp-client.ts';
import { checkpointDocument } from './backup-documents.ts';
import { findDisks } from './domain-disks.ts';
import type { Command, Virsh } from './virsh.ts';

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

/**
 * Has libvirt run a command while it knows `checkpoints`, and forget them right after, and the one called `made` that the command makes, be
 * the guest gone meanwhile: all in one process, so that Nova does not meet them. Throws what fails of it but the forgetting.
 */
export async function whileKnown(
  place: DomainPlace,
  checkpoints: readonly KnownCheckpoint[],
  command: Command,
  made?: string,
): Promise<void> {
  const { virsh, uuid } = place;
  const names = [...checkpoints.map(({ name }) => name), ...(made === undefined ? [] : [made])];
  const forgetting = names.map((name) => ['checkpoint-delete', uuid, name, '--metadata']);
  const run = async (commands: readonly Command[], [first, ...others]: readonly KnownCheckpoint[]): Promise<void> => {
    if (first === undefined) return virsh.runAll([...commands, command], forgetting);
    await withDocument(place, first.name, checkpointDocument(first.name, first.devices), (path) =>
      run([...commands, ['checkpoint-create', uuid, path, '--redefine']], others),
    );
  };
  await run([], checkpoints);
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

/** A checkpoint without a parent: libvirt removes its bitmaps, over the whole chain of images, and touches no other. */
async function removeBitmap(place: DomainPlace, name: string, devices: readonly string[]): Promise<void> {
  try {
    await whileKnown(place, [{ name, devices }], ['checkpoint-delete', place.uuid, name]);
  } catch (error) {
    // Where the call itself was cut off.
    await forgetCheckpoints(place);
    if (isQemuGone(error)) throw error;
  }
}
