import { join } from 'node:path';
import { checkout } from '../setup/cache.ts';
import type { FirstBackups } from './first-backups.ts';
import { type Lab, measureOnce } from './lab.ts';
import { type Measured, measure } from './process.ts';
import { atLeast, median, type Row, shown } from './row.ts';

/** As many as Ekko has threads on the machine that the goal is for. */
const PROCESSES = 2;
const FILES_AT_ONCE = 16;

/** Verification without a key, beside `sha256sum` in two processes over the same files, which does the same. */
export async function verifyRows(lab: Lab, { ekko }: FirstBackups): Promise<Row[]> {
  const { vault } = ekko.repository;
  const verified: Measured[] = [];
  const summed: Measured[] = [];
  let bytes = 0;
  for (let run = 0; run <= lab.shortRuns; run++) {
    const [look, sums] = [await verify(lab, vault), await sha256sum(lab, vault)];
    ({ bytes } = JSON.parse(look.output) as { bytes: number });
    // The first one has warmed up: what is compared is how fast bytes are looked at, not how fast they come.
    if (run > 0) verified.push(look);
    if (run > 0) summed.push(sums);
  }
  const seconds = (measured: readonly Measured[]) => median(measured.map((each) => each.seconds));
  const cpu = (measured: readonly Measured[]) => median(measured.map(({ cpuSeconds }) => cpuSeconds));
  return [
    shown('verify.keyless.bytes', bytes, 'B'),
    shown('verify.keyless.wall', seconds(verified), 's'),
    shown('verify.keyless.cpu', cpu(verified), 's'),
    shown('verify.keyless.speed', bytes / seconds(verified), 'B/s'),
    shown('verify.sha256sum.wall', seconds(summed), 's'),
    shown('verify.sha256sum.cpu', cpu(summed), 's'),
    atLeast('verify.of-sha256sum', seconds(summed) / seconds(verified), 'x', 0.8),
  ];
}

function verify(lab: Lab, vault: string): Promise<Measured> {
  const program = join(checkout, 'functions/command-line/bin/ekko');
  return measureOnce(lab, 'ekko: verify --keyless', () =>
    measure({ program, args: ['verify', vault, '--keyless', '--json'] }),
  );
}

function sha256sum(lab: Lab, vault: string): Promise<Measured> {
  const script = `cd "$1" && find packs pages manifests points -type f -print0 | xargs -0 -P ${PROCESSES} -n ${FILES_AT_ONCE} sha256sum >/dev/null`;
  return measureOnce(lab, `sha256sum in ${PROCESSES} processes`, () =>
    measure({ program: 'sh', args: ['-ec', script, 'sh', vault] }),
  );
}
