import type { BackupReport } from './ekko.ts';

const MIB = 1024 * 1024;

/** One line a backup: what was read, what was new, what it took in the vault. */
export function showTable(backups: ReadonlyMap<string, BackupReport>): void {
  const heads = ['backup', 'read', 'changed', 'new', 'stored', 'ratio', 'time', 'consistency'];
  const rows = [...backups].map(([name, report]) => rowOf(name, report));
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)));
  console.log('');
  for (const row of [heads, ...rows]) {
    console.log(
      `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')}`,
    );
  }
}

function rowOf(name: string, { point, readBytes, seconds }: BackupReport): string[] {
  const sum = (value: (disk: BackupReport['point']['disks'][number]) => number) =>
    point.disks.reduce((total, disk) => total + value(disk), 0);
  const stored = sum((disk) => disk.storedBytes);
  const changed = sum((disk) => disk.changedBytes);
  const ratio = stored === 0 ? '-' : `${(changed / stored).toFixed(1)} : 1`;
  const sizes = [readBytes, changed, sum((disk) => disk.newBytes), stored].map(mib);
  return [name, ...sizes, ratio, `${seconds.toFixed(1)} s`, point.disks[0]?.consistency ?? ''];
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

/** A step, with the time since the start. */
export function say(text: string): void {
  console.log(`\n[${(performance.now() / 1000).toFixed(0).padStart(3)} s] ${text}`);
}
