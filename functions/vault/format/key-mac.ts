import { createHmac, timingSafeEqual } from 'node:crypto';
import type { EpochKeys } from '../keys/epoch-keys.ts';

/** The MAC of `vault.json` and of key objects: over the compact JSON of all their other fields, in the order of `docs/format.md`. */
export function macOf(keys: EpochKeys, ordered: object): string {
  return createHmac('sha256', keys.journalKey).update(JSON.stringify(ordered)).digest('hex');
}

export function isMac(keys: EpochKeys, ordered: object, mac: string): boolean {
  const expected = Buffer.from(macOf(keys, ordered));
  const found = Buffer.from(mac);
  return expected.length === found.length && timingSafeEqual(expected, found);
}
