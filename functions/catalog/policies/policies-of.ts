import { checkRecord, type PolicyRecord } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';

/** All policies of a project, by name, from after `after`. */
export async function* policiesOf(registry: Registry, project: string, after = ''): AsyncGenerator<PolicyRecord> {
  let marker: string | undefined = after === '' ? undefined : after;
  do {
    const { records, next } = await registry.list(['policies', project], { limit: 200, marker });
    for (const { record } of records) yield checkRecord('policies', record);
    marker = next;
  } while (marker !== undefined);
}
