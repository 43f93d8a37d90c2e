import { EkkoError } from '#vault/errors.ts';
import { abandonRun } from '#vault/runs.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { endMember } from '../exporters/exporter-client.ts';
import type { RunEnd, RunRecord } from '../registry/records.ts';
import { updateRecord } from '../registry/update-record.ts';
import { forEachMember, placeOf } from './run-members.ts';

/**
 * Gives a run up: it can never commit, the exporters merge their bitmaps back, and what was staged is removed. Idempotent. Throws
 * `run-ended` for a run that was committed; an exporter that does not answer finds out by itself.
 */
export async function abandon(catalog: Catalog, caller: Caller, record: RunRecord, reason: string): Promise<RunRecord> {
  if (record.ended?.outcome === 'abandoned') return record;
  if (record.ended !== undefined) throw committedAlready(record.run);
  const { tenant } = await catalog.runs.open(caller, record);
  await abandonRun(tenant.vault, record.run, reason, catalog.now());
  if ((await tenant.vault.journal.refresh()).points.has(record.run)) throw committedAlready(record.run);
  const end: RunEnd = { outcome: 'abandoned', at: catalog.now().toISOString(), reason };
  const ended = await finish(catalog, caller, record, end, new Set());
  await removeStaged(tenant.vault, record.run).catch(() => undefined);
  catalog.runs.close(caller, record.run);
  return ended;
}

/** Tells every exporter how the run ended for its members, and writes it down. `held`: servers that the point holds. */
export async function finish(
  catalog: Catalog,
  caller: Caller,
  { run, members }: RunRecord,
  end: RunEnd,
  held: ReadonlySet<string>,
): Promise<RunRecord> {
  const places = members.flatMap((member) => placeOf(run, member));
  await forEachMember(places, (place) =>
    endMember(place, caller.token, held.has(place.server) ? 'committed' : 'abandoned'),
  );
  return updateRecord(catalog.registry, 'runs', [caller.project, run], (now) =>
    now.ended === undefined ? { ...now, ended: end } : now,
  );
}

function committedAlready(run: string): EkkoError {
  return new EkkoError(
    'run-ended',
    `Run ${run} was committed: its restore point stands. Delete the point if it is not wanted.`,
  );
}

/** In the way on a full store, and of no use any more. */
export async function removeStaged({ store }: Vault, run: string): Promise<void> {
  for (const folder of [Folder.staging, Folder.receipts]) {
    const keys: string[] = [];
    for await (const { key } of store.list(`${folder}${run}/`)) keys.push(key);
    if (keys.length > 0) await store.remove(keys);
  }
}
