import { join } from 'node:path';
import type { RequestCount, Verb } from '#vault/store/counted-store.ts';
import type { EkkoVault } from './ekko.ts';
import type { Lab } from './lab.ts';
import { measure } from './process.ts';
import { type Row, shown } from './row.ts';

const VERBS: readonly Verb[] = ['create', 'get', 'list', 'remove'];

/** A full backup of an image file into a vault of its own; every request of exporter, functions and commit is counted. */
export async function countFullRequests(lab: Lab): Promise<RequestCount[]> {
  const repository = await lab.ekko.create(join(lab.folder, 'ekko-counted'));
  const counts = await count(lab, 'full backup', repository, 'file', lab.image.path);
  await repository.remove();
  return counts;
}

/** A backup of a running QEMU's disks, counted likewise. */
export function countGuestRequests(
  lab: Lab,
  what: string,
  repository: EkkoVault,
  qmpSocket: string,
): Promise<RequestCount[]> {
  return count(lab, what, repository, 'guest', qmpSocket, lab.folder);
}

async function count(
  lab: Lab,
  what: string,
  { vault, keyFile }: EkkoVault,
  ...source: readonly string[]
): Promise<RequestCount[]> {
  const program = join(import.meta.dirname, 'count-requests.ts');
  const { output } = await measure({ program: process.execPath, args: [program, vault, keyFile, ...source] });
  const counts = JSON.parse(output) as RequestCount[];
  const each = counts.map(({ verb, folder, requests }) => `${verb} ${folder} ${requests}`);
  lab.say(`ekko: requests of the ${what}: ${each.join(', ')}`);
  return counts;
}

/** What `ekko restore --json` says. */
export function restoreRequests(output: string): number {
  const { disks } = JSON.parse(output) as { disks: { requests: number }[] };
  return disks.reduce((sum, { requests }) => sum + requests, 0);
}

export function sumOf(counts: readonly RequestCount[]): number {
  return counts.reduce((sum, { requests }) => sum + requests, 0);
}

/** `dataBytes`: of disk that was read. */
export function requestRows(name: string, counts: readonly RequestCount[], dataBytes: number): Row[] {
  return [
    ...VERBS.map((verb) =>
      shown(`requests.${name}.${verb}`, sumOf(counts.filter((each) => each.verb === verb)), 'requests'),
    ),
    perGib(name, sumOf(counts), dataBytes),
  ];
}

export function perGib(name: string, requests: number, dataBytes: number): Row {
  return shown(`requests.${name}.per-gib`, requests / (dataBytes / 2 ** 30), 'requests/GiB');
}
