import type { Caller } from '../caller.ts';
import { type RunRecord, readRecord } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';

/*
 * An audit that found a clean segment changed says that a bitmap has missed a write, and nobody knows which others. From then on the
 * policy's disks are read whole, until a restore point stands that was made so.
 */

/** Notes that the run's audit has failed. */
export async function noteDistrust(registry: Registry, { project }: Caller, { policy, run }: RunRecord): Promise<void> {
  const path = ['distrusts', project, policy];
  await registry.write(path, { run }, await registry.lastVersion(path));
}

/** Whether the run's exporters are to read everything: asked at each ticket, so that no start can overlook it. */
export async function isDistrusted(
  registry: Registry,
  { project }: Caller,
  { policy, run }: RunRecord,
): Promise<boolean> {
  const found = await readRecord(registry, 'distrusts', project, policy);
  return found !== undefined && found.value.run !== run;
}

/** A run was committed; a policy has one at a time, so one that began later has read everything of the members that it holds. */
export async function endDistrust(
  registry: Registry,
  { project }: Caller,
  { policy, run }: RunRecord,
  missing: readonly string[],
): Promise<void> {
  const found = await readRecord(registry, 'distrusts', project, policy);
  if (found === undefined || found.value.run === run || missing.length > 0) return;
  await registry.forget(['distrusts', project, policy], found.version);
}
