import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Root folder of the checkout. */
export const checkout = join(import.meta.dirname, '..', '..');

/** What may be thrown away and made again: unpacked Debian packages, the guest's images, what the preparation found. */
export const cache = join(checkout, 'node_modules', '.cache', 'ekko');

/** Things that come with Debian packages, which not every machine has. */
export type Need =
  | 'qemu'
  | 'guest'
  | 'libvirt'
  | 'restic'
  | 'borg'
  | 'nbdcopy'
  | 'mariadb'
  | 'postgres'
  | 'ceph'
  | 'control-plane'
  | 'zaqar'
  | 'compute'
  | 'keystone'
  | 'swift';

/** What `.setup/prepare.mjs` found on this machine. */
export interface Available {
  readonly has: Readonly<Partial<Record<Need, boolean>>>;
  /** What is left out, and why: one sentence each, for people. */
  readonly leftOut: readonly string[];
}

/** Nothing is available until the preparation has said so. */
export function readAvailable(file = join(cache, 'available.json')): Available {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Available;
  } catch {
    return { has: {}, leftOut: ['Everything that needs QEMU: run `npm test` or `npm start`, which set it up'] };
  }
}

/** For `describe.skipIf(lacks('guest'))`. */
export function lacks(...needs: readonly Need[]): boolean {
  const { has } = readAvailable();
  return needs.some((need) => has[need] !== true);
}
