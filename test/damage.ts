import { CONTENT_NAMED, type ContentFolder, Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';

/** A way in which an object can be spoilt: its new bytes, or undefined where it is to be gone. */
export interface Damage {
  readonly name: string;
  /** `other` is another object of the same kind. */
  spoil(bytes: Buffer, other: Buffer): Buffer | undefined;
}

/** Every kind of damage, at the places where formats have their parts. */
export const DAMAGES: readonly Damage[] = [
  { name: 'missing', spoil: () => undefined },
  { name: 'empty', spoil: () => Buffer.alloc(0) },
  { name: 'swapped with another of its kind', spoil: (_, other) => other },
  { name: 'cut after 10 bytes', spoil: (bytes) => bytes.subarray(0, 10) },
  { name: 'cut in the middle', spoil: (bytes) => bytes.subarray(0, bytes.length >> 1) },
  { name: 'cut by one byte', spoil: (bytes) => bytes.subarray(0, -1) },
  { name: 'flipped in its magic', spoil: (bytes) => flipped(bytes, 3) },
  { name: 'flipped in its epoch', spoil: (bytes) => flipped(bytes, 8) },
  { name: 'flipped in its length', spoil: (bytes) => flipped(bytes, 13) },
  { name: 'flipped in its wrapped key', spoil: (bytes) => flipped(bytes, 40) },
  { name: 'flipped behind its header', spoil: (bytes) => flipped(bytes, Math.min(100, bytes.length - 20)) },
  { name: 'flipped in the middle', spoil: (bytes) => flipped(bytes, bytes.length >> 1) },
  { name: 'flipped at its end', spoil: (bytes) => flipped(bytes, bytes.length - 1) },
];

export const KINDS: readonly ContentFolder[] = CONTENT_NAMED;
/** What a restore of a disk reads. */
export const DISK_KINDS: readonly ContentFolder[] = [Folder.packs, Folder.pages, Folder.manifests];

export function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}

/** Replaces an object, which no store does by itself. */
export async function replaceObject(store: ObjectStore, key: string, bytes: Buffer | undefined): Promise<void> {
  await store.remove([key]);
  if (bytes !== undefined) await store.create(key, [bytes]);
}

/** Spoils one object; returns how to undo it. */
export async function spoil(store: ObjectStore, key: string, damage: Damage): Promise<() => Promise<void>> {
  const folder = `${key.split('/')[0]}/`;
  const bytes = await store.get(key);
  const others = (await keysIn(store, folder)).filter((other) => other !== key);
  if (others[0] === undefined) throw new Error(`${folder} has only one object`);
  await replaceObject(store, key, damage.spoil(bytes, await store.get(others[0])));
  return () => replaceObject(store, key, bytes);
}

export async function keysIn(store: ObjectStore, folder: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(folder)) keys.push(key);
  return keys;
}
