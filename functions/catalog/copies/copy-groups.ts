import { codeOf } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { policiesOf } from '../policies/policies-of.ts';
import { copyNow } from './copies.ts';

/** What became of the copies that one policy wants. */
export interface GroupCopy {
  readonly policy: string;
  readonly to: string;
  readonly copied: number;
  readonly problem?: string;
}

/** Copies for each policy of the vault that wants it, one after the other; one that fails keeps no other from it. */
export async function copyGroups(catalog: Catalog, caller: Caller, vault: string): Promise<GroupCopy[]> {
  const copies: GroupCopy[] = [];
  for await (const { policy, definition } of policiesOf(catalog.registry, caller.project)) {
    const to = definition.copyTo?.vault;
    if (definition.vault === vault && to !== undefined)
      copies.push(await copyGroup(catalog, caller, vault, policy, to));
  }
  return copies;
}

async function copyGroup(
  catalog: Catalog,
  caller: Caller,
  vault: string,
  policy: string,
  to: string,
): Promise<GroupCopy> {
  try {
    const { copied, problem } = await copyNow(catalog, caller, vault, { to, group: policy });
    return { policy, to, copied, ...(problem === undefined ? {} : { problem }) };
  } catch (error) {
    if (codeOf(error) === undefined || !(error instanceof Error)) throw error;
    return { policy, to, copied: 0, problem: error.message };
  }
}
