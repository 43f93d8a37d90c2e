// npm run bench: what Ekko takes, beside its peers, and whether it is what was promised. A measurement, no test: a goal that is missed is
// said, and the exit code is 0.
import { formatTable } from '../../functions/command-line/text/table.ts';
import { lacks } from '../setup/cache.ts';
import { type BenchArguments, HELP, readArguments } from './bench-arguments.ts';
import { ensureBundles } from './ensure-bundles.ts';
import { describeMachine } from './machine.ts';
import { checkNames, isWanted, measurements } from './measurements.ts';
import { type OpenLab, openLab } from './open-lab.ts';
import { formatValue, type Row } from './row.ts';

/** As a shell gives it for an interrupted program. */
const INTERRUPTED = 130;

/** Progress stands beside the result. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function bench(wanted: BenchArguments): Promise<Row[]> {
  checkNames(wanted.only);
  for (const line of describeMachine()) say(line);
  await ensureBundles(say);
  const open = await openLab(wanted, say);
  endWhenInterrupted(open);
  try {
    return await measureAll(open, wanted.only);
  } finally {
    await open.close();
  }
}

async function measureAll({ lab }: OpenLab, only: readonly string[]): Promise<Row[]> {
  const has = { qemu: lab.qemu && lab.qemuImg, nbdcopy: lab.nbdcopy, swift: !lacks('swift'), ceph: !lacks('ceph') };
  const rows: Row[] = [];
  for (const group of measurements(lab).filter(({ name }) => isWanted(name, only))) {
    const missing = group.needs.filter((need) => !has[need]);
    if (missing.length > 0) say(`${group.name} is left out: ${missing.join(', ')} is not installed.`);
    else rows.push(...(await group.rows()));
  }
  return rows.filter(({ name }) => only.length === 0 || only.some((beginning) => name.startsWith(beginning)));
}

function endWhenInterrupted(open: OpenLab): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void open.close().finally(() => process.exit(INTERRUPTED)));
  }
}

function printTable(rows: readonly Row[]): void {
  const cells = rows.map(({ name, value, unit, goal, holds }) => [
    name,
    formatValue(value, unit),
    goal ?? '',
    holds === null ? '' : holds ? 'yes' : 'NO',
  ]);
  const columns = [
    { title: 'what' },
    { title: 'value', align: 'right' },
    { title: 'goal' },
    { title: 'holds' },
  ] as const;
  for (const line of formatTable(columns, cells)) console.log(line);
  const judged = rows.filter(({ holds }) => holds !== null);
  console.log(`${judged.filter(({ holds }) => holds).length} of ${judged.length} goals are reached.`);
}

try {
  const wanted = readArguments(process.argv.slice(2));
  if (wanted === 'help') console.log(HELP);
  else {
    const rows = await bench(wanted);
    if (wanted.json) console.log(JSON.stringify(rows, null, 2));
    else printTable(rows);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
