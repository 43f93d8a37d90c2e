import { type Change, changesBetween } from '#vault/changes/changes.ts';
import { pointBefore } from '#vault/changes/point-before.ts';
import { EkkoError } from '#vault/errors.ts';
import { readPoint } from '#vault/records.ts';
import type { Vault } from '#vault/vault.ts';
import { plainText } from '../text/plain-text.ts';
import { findPoint } from './find-point.ts';

export interface Comparison {
  readonly point: string;
  /** The point that it is compared with. */
  readonly before: string;
  readonly changes: readonly Change[];
}

/** What changed up to a point, since another or since the one before of its group. Throws `point-unknown`, and what reading points throws. */
export async function comparePoints(vault: Vault, text: string, other: string | undefined): Promise<Comparison> {
  const point = await findPoint(vault, text);
  const before = other === undefined ? await readBefore(vault, point) : await findPoint(vault, other);
  return { point: point.id, before: before.id, changes: changesBetween(before, point) };
}

async function readBefore(vault: Vault, { id, group }: { readonly id: string; readonly group: string }) {
  const found = pointBefore(vault.journal.state(), { run: id, group });
  if (found !== undefined) return readPoint(vault, found.point);
  const words = `Restore point ${id} has none before it of its group ${plainText(group, 60)}`;
  throw new EkkoError('point-unknown', `${words}. Name the point to compare it with.`);
}

/** A line for each change. */
export function describeComparison({ point, before, changes }: Comparison): string[] {
  if (changes.length === 0)
    return [`Nothing is told to have changed from ${before} to ${point}, but the content of disks.`];
  return [`From ${before} to ${point}:`, ...changes.map(({ text }) => `  ${plainText(text, 400)}`)];
}
