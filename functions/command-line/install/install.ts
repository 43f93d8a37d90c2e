import { EkkoError } from '#vault/errors.ts';
import { asRecord } from '#vault/store/swift/fields.ts';
import { type Cloud, type CloudAnswer, reasonOf } from '../cloud/open-cloud.ts';
import { findLeftovers, type Leftover, removeLeftover } from './leftovers.ts';
import type { Workbook } from './workbooks.ts';

/** What became, or would become, of a workbook or of something that an older release left. */
export interface Step {
  readonly name: string;
  readonly kind: 'workbook' | Leftover['kind'];
  readonly state: 'made' | 'updated' | 'current' | 'missing' | 'differs' | 'removed' | 'left-over' | 'in-use';
}

export type Scope = 'private' | 'public';

/** URL of Mistral's API. Throws `store-failed` where the cloud has none. */
export function mistralOf(cloud: Cloud): string {
  const url = cloud.endpoint('workflowv2', 'workflow');
  if (url === undefined)
    throw new EkkoError('store-failed', 'There is no Mistral (workflowv2) in the catalogue of this project.');
  return url;
}

/** Uploads what is missing or different, then removes what older releases left. The same again changes nothing. Throws `store-failed`. */
export async function install(cloud: Cloud, workbooks: readonly Workbook[], scope: Scope): Promise<Step[]> {
  const steps: Step[] = [];
  for (const workbook of workbooks) steps.push(await upload(cloud, workbook, scope));
  for (const leftover of await findLeftovers(cloud, mistralOf(cloud), workbooks)) {
    const { kind, name } = leftover;
    steps.push({ kind, name, state: (await removeLeftover(cloud, mistralOf(cloud), leftover)) ? 'removed' : 'in-use' });
  }
  return steps;
}

/** Says what `install` would find, and changes nothing. */
export async function checkInstallation(cloud: Cloud, workbooks: readonly Workbook[]): Promise<Step[]> {
  const found = await Promise.all(
    workbooks.map(async ({ name, text }): Promise<Step> => {
      const there = await findWorkbook(cloud, name);
      return {
        kind: 'workbook',
        name,
        state: there === undefined ? 'missing' : there.text === text ? 'current' : 'differs',
      };
    }),
  );
  const leftovers = await findLeftovers(cloud, mistralOf(cloud), workbooks);
  return [...found, ...leftovers.map(({ kind, name }) => ({ kind, name, state: 'left-over' }) as const)];
}

async function upload(cloud: Cloud, { name, text }: Workbook, scope: Scope): Promise<Step> {
  const there = await findWorkbook(cloud, name);
  // One that all projects see is never taken away from them.
  if (there?.text === text && (there.scope === scope || scope === 'private'))
    return { kind: 'workbook', name, state: 'current' };
  const method = there === undefined ? 'POST' : 'PUT';
  const answer = await cloud.call(method, `${mistralOf(cloud)}/workbooks?scope=${scope}`, text);
  if (answer.status < 300) return { kind: 'workbook', name, state: there === undefined ? 'made' : 'updated' };
  throw refused(name, scope, answer);
}

function refused(name: string, scope: Scope, answer: CloudAnswer): EkkoError {
  const found = `Mistral does not take the workbook ${name}: ${reasonOf(answer)}.`;
  if (answer.status !== 403) return new EkkoError('store-failed', found);
  const advice =
    scope === 'public'
      ? 'Only an administrator may make workbooks public.'
      : 'If an administrator has made one of that name public, only they can change it.';
  return new EkkoError('store-failed', `${found} ${advice}`);
}

interface FoundWorkbook {
  readonly text: string;
  readonly scope: unknown;
}

/** A workbook that the project sees; undefined where there is none. */
export async function findWorkbook(cloud: Cloud, name: string): Promise<FoundWorkbook | undefined> {
  const answer = await cloud.call('GET', `${mistralOf(cloud)}/workbooks/${name}`);
  if (answer.status === 404) return undefined;
  const { definition, scope } = asRecord(answer.body) ?? {};
  if (answer.status === 200 && typeof definition === 'string') return { text: definition, scope };
  throw new EkkoError('store-failed', `Mistral does not show the workbook ${name}: ${reasonOf(answer)}.`);
}
