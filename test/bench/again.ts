import type { FirstBackups } from './first-backups.ts';
import { secondsOf } from './full.ts';
import { type Lab, measureOnce, type Trial } from './lab.ts';
import { atLeast, below, type Row, shown } from './row.ts';

/** Backs the same image up as other disks of the same vault. */
export async function backUpAgain(lab: Lab, { ekko: { repository } }: FirstBackups): Promise<Trial> {
  const again: Trial = { repository, measured: [], storedBytes: 0 };
  for (let run = 0; run < lab.runs; run++) {
    const before = await repository.stored();
    again.measured.push(
      await measureOnce(lab, 'ekko: the same image as another disk', () =>
        repository.backUpAs(`again-${run}`, lab.image.path),
      ),
    );
    again.storedBytes = (await repository.stored()) - before;
  }
  return again;
}

export function againRows(again: Trial, { ekko }: FirstBackups): Row[] {
  return [
    shown('again.wall', secondsOf(again), 's'),
    atLeast('again.times-faster', secondsOf(ekko) / secondsOf(again), 'x', 2),
    shown('again.stored', again.storedBytes, 'B'),
    below('again.stored-of-first', (again.storedBytes / ekko.storedBytes) * 100, '%', 0.5),
  ];
}
