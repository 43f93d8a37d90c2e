import { type LastRecord, readRecord } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';

/** Writes down what is the newest of a policy. For people who look at it; the vault knows better. */
export async function noteLast(registry: Registry, project: string, policy: string, news: LastRecord): Promise<void> {
  const path = ['lasts', project, policy];
  const found = await readRecord(registry, 'lasts', project, policy);
  await registry.write(path, { ...found?.value, ...news }, found?.version ?? (await registry.lastVersion(path)));
}
