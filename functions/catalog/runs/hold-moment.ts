import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { type RunRecord, requireRecord } from '../registry/records.ts';
import { updateRecord } from '../registry/update-record.ts';
import { membersOf } from './run-members.ts';
import { startExports, takeMoment } from './take-moment.ts';

/** Takes the moment of a run and begins its exports. One that was taken is not taken again: only exports that have not begun are begun. */
export async function holdMoment(catalog: Catalog, caller: Caller, run: string): Promise<RunRecord> {
  const { value: record } = await requireRecord(catalog.registry, 'runs', caller.project, run);
  if (record.moment !== undefined) {
    const held = (await membersOf(record, caller.token)).filter(({ state }) => state === 'held');
    if (held.length > 0) await startExports(record, caller.token, new Set(held.map(({ server }) => server)));
    return record;
  }
  // Exporters fetch their tickets at once: the vault is opened one time, before them.
  await catalog.runs.open(caller, record);
  const moment = await takeMoment(record, { token: caller.token, catalog: catalog.publicUrl, now: catalog.now });
  const taken = await updateRecord(catalog.registry, 'runs', [caller.project, run], (now) =>
    now.moment === undefined ? { ...now, moment } : now,
  );
  await startExports(taken, caller.token);
  return taken;
}
