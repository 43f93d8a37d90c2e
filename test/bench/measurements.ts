import { againRows, backUpAgain } from './again.ts';
import { firstBackups } from './first-backups.ts';
import { fullRows } from './full.ts';
import { groupRunRows } from './group-runs.ts';
import { incrementalRows, incrementals, WRITES } from './incrementals.ts';
import { type Lab, once } from './lab.ts';
import { emptyCommitRows, tryLargeDisk } from './large-disk.ts';
import { memoryRows } from './memory.ts';
import { nbdRows, readByNbd } from './nbd-read.ts';
import { countFullRequests, perGib, requestRows, restoreRequests } from './requests.ts';
import { restoreFirst, restoreRows } from './restores.ts';
import type { Row } from './row.ts';
import { s3Rows } from './s3-store.ts';
import { sweepRows } from './sweeps.ts';
import { swiftRows } from './swift-store.ts';
import { verifyRows } from './verifies.ts';

/** In the order in which they are made. */
const GROUPS = [
  'full',
  'again',
  'restore',
  'incremental',
  'nbd-read',
  'empty-commit',
  'memory',
  'requests',
  'swift',
  's3',
  'sweep',
  'verify',
  'group-run',
] as const;

/** A group of rows whose names begin with `name` and a dot. */
export interface Group {
  readonly name: (typeof GROUPS)[number];
  /** What the group cannot do without. */
  readonly needs: readonly ('qemu' | 'nbdcopy' | 'swift' | 'ceph')[];
  rows(): Promise<Row[]>;
}

const INCREMENTAL_BYTES = WRITES * 65_536;

/** All groups. What several of them need is measured once, when it is first wanted. */
export function measurements(lab: Lab): Group[] {
  const first = once(() => firstBackups(lab));
  const again = once(async () => backUpAgain(lab, await first()));
  const restores = once(async () => restoreFirst(lab, await first()));
  const changed = once(async () => incrementals(lab, await first()));
  const large = once(() => tryLargeDisk(lab));

  async function requests(): Promise<Row[]> {
    const { dataBytes } = lab.image;
    const restored = (await restores()).ekko.measured.slice(-1).map(({ output }) => restoreRequests(output));
    return [
      ...requestRows('full', await countFullRequests(lab), dataBytes),
      ...requestRows('incremental', (await changed()).requests, INCREMENTAL_BYTES),
      ...restored.map((count) => perGib('restore', count, dataBytes)),
    ];
  }

  return [
    { name: 'full', needs: [], rows: async () => fullRows(await first(), lab.image) },
    { name: 'again', needs: [], rows: async () => againRows(await again(), await first()) },
    { name: 'restore', needs: [], rows: async () => restoreRows(await restores()) },
    { name: 'incremental', needs: ['qemu'], rows: async () => incrementalRows(await changed()) },
    { name: 'nbd-read', needs: ['qemu', 'nbdcopy'], rows: async () => nbdRows(await readByNbd(lab)) },
    { name: 'empty-commit', needs: ['qemu'], rows: async () => emptyCommitRows(await large()) },
    {
      ...{ name: 'memory', needs: ['qemu'] },
      rows: async () => memoryRows(await first(), await restores(), await large(), await changed()),
    },
    { name: 'requests', needs: ['qemu'], rows: requests },
    { name: 'swift', needs: ['swift'], rows: () => swiftRows(lab) },
    { name: 's3', needs: ['ceph'], rows: () => s3Rows(lab) },
    { name: 'sweep', needs: [], rows: () => sweepRows(lab) },
    { name: 'verify', needs: [], rows: async () => verifyRows(lab, await first()) },
    { name: 'group-run', needs: [], rows: groupRunRows },
  ];
}

/** Throws for a beginning that no row can have. */
export function checkNames(only: readonly string[]): void {
  const unknown = only.find((name) => !GROUPS.some((group) => isWanted(group, [name])));
  if (unknown !== undefined) throw new Error(`No row is called ${unknown}. Groups of rows: ${GROUPS.join(', ')}.`);
}

/** Whether the rows whose names begin with one of `only` are in the group, all or some. */
export function isWanted(group: string, only: readonly string[]): boolean {
  const all = `${group}.`;
  return only.length === 0 || only.some((name) => all.startsWith(name) || name.startsWith(all));
}
