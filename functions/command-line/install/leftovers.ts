import { EkkoError } from '#vault/errors.ts';
import { asRecord } from '#vault/store/swift/fields.ts';
import { recordsIn } from '../cloud/endpoints.ts';
import { type Cloud, reasonOf } from '../cloud/open-cloud.ts';
import type { Workbook } from './workbooks.ts';

/** Something of an older release. Mistral keeps the workflows and actions of a workbook when that is deleted or has lost them. */
export interface Leftover {
  readonly kind: 'old workbook' | 'old workflow' | 'old action';
  readonly name: string;
}

const PATHS = { 'old workbook': 'workbooks', 'old workflow': 'workflows', 'old action': 'actions' } as const;
/** Names of Ekko's own; whatever else a project calls `ekko` is not touched. */
const OURS = /^ekko\.(backup|hooks|notification|policy|restore|upkeep)\.v\d+(\.\w+)?$/;

/** What Mistral has of Ekko's that this release has not, workbooks first. Throws `store-failed`. */
export async function findLeftovers(
  cloud: Cloud,
  mistral: string,
  workbooks: readonly Workbook[],
): Promise<Leftover[]> {
  const ours = new Set(workbooks.flatMap(({ name, workflows, actions }) => [name, ...workflows, ...actions]));
  const found: Leftover[] = [];
  for (const kind of ['old workbook', 'old workflow', 'old action'] as const) {
    const names = await namesIn(cloud, mistral, PATHS[kind]);
    found.push(...names.filter((name) => OURS.test(name) && !ours.has(name)).map((name) => ({ kind, name })));
  }
  return found;
}

async function namesIn(cloud: Cloud, mistral: string, path: string): Promise<string[]> {
  // By name, for Mistral 15 cannot sort actions by their age.
  const answer = await cloud.call('GET', `${mistral}/${path}?fields=name&sort_keys=name&name=has:ekko.`);
  if (answer.status !== 200) throw new EkkoError('store-failed', `Mistral does not list ${path}: ${reasonOf(answer)}.`);
  return recordsIn(asRecord(answer.body)?.[path]).map(({ name }) => String(name));
}

/** False where it is still used, by a schedule say, or is not the project's own. */
export async function removeLeftover(cloud: Cloud, mistral: string, { kind, name }: Leftover): Promise<boolean> {
  const { status } = await cloud.call('DELETE', `${mistral}/${PATHS[kind]}/${name}`);
  return status < 300;
}
