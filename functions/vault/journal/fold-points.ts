import type { Draft } from './draft.ts';
import type { Condemned, RetentionSet } from './entries.ts';
import { countCondemned } from './fold-keys.ts';
import { isInForce } from './policy-wait.ts';
import { ANY_GROUP } from './state.ts';

export function expire(
  draft: Draft,
  run: string,
  { at, reason }: { readonly at: string; readonly reason: string },
): void {
  const point = draft.points.get(run);
  if (point === undefined) return;
  draft.points.delete(run);
  draft.expired.set(run, { ...point, expiredAt: at, expiredBecause: reason });
}

/** Points come back to where they were in commit order: the newest is the newest again. */
export function undelete(draft: Draft, runs: readonly string[]): void {
  const all = [...draft.points.values()];
  for (const run of runs) {
    const expired = draft.expired.get(run);
    if (expired === undefined) continue;
    const { expiredAt: _, expiredBecause: __, ...point } = expired;
    draft.expired.delete(run);
    all.push(point);
  }
  all.sort((a, b) => a.position - b.position);
  draft.points = new Map(all.map((point) => [point.run, point]));
}

/** Of policies that were set while another one still waited only the one in force before them counts: the others never were. */
export function setRetention(draft: Draft, { group = ANY_GROUP, policy, confirmed, at }: RetentionSet): void {
  const before = draft.retention.get(group);
  const previous = before !== undefined && isInForce(before, Date.parse(at)) ? before.policy : before?.previous;
  draft.retention.set(group, { policy, confirmed, at, ...(previous === undefined ? {} : { previous }) });
}

export function condemn(draft: Draft, entry: Condemned): void {
  const before = draft.condemned.size;
  for (const list of [entry.packs, entry.pages, entry.manifests, entry.points, entry.moves]) {
    for (const name of list) {
      draft.condemned.add(name);
      draft.damaged.delete(name);
    }
  }
  countCondemned(draft, draft.condemned.size - before);
  const gone = new Set(entry.points);
  if (gone.size > 0) for (const [run, { point }] of draft.expired) if (gone.has(point)) draft.expired.delete(run);
  const ended = new Set(entry.moves);
  if (ended.size > 0) for (const [pack, move] of draft.moved) if (ended.has(move)) draft.moved.delete(pack);
}
