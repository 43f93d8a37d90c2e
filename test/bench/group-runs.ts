import { type Lab, openLab } from '../functions/catalog/lab.ts';
import { atMost, median, type Row, shown } from './row.ts';

const SIZES = [2, 5, 10, 20, 50];
const RUNS = 3;
/** Of a group of two, without a workflow engine. */
const GOAL_SECONDS = 3;

interface GroupRun {
  readonly seconds: number;
  /** Between the first freeze asked for and the last thaw answered. */
  readonly windowSeconds: number;
}

/**
 * What a run costs beside its data: started, held, looked at, committed, for groups of ever more servers, each on a host of its own with a
 * stub for an exporter and one disk of a segment. Everything is in this process and speaks HTTP; the vault is in memory.
 */
export async function groupRunRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of SIZES) rows.push(...(await rowsOf(size)));
  return rows;
}

async function rowsOf(size: number): Promise<Row[]> {
  const lab = await openLab();
  try {
    const servers = await addServers(lab, size);
    await lab.addPolicy('group', { servers });
    // The first run of a process loads its code.
    await runOnce(lab);
    const runs: GroupRun[] = [];
    for (let n = 0; n < RUNS; n++) runs.push(await runOnce(lab));
    const wall = median(runs.map(({ seconds }) => seconds));
    const name = `group-run.${size}-servers`;
    return [
      size === SIZES[0] ? atMost(`${name}.wall`, wall, 's', GOAL_SECONDS) : shown(`${name}.wall`, wall, 's'),
      shown(`${name}.window`, median(runs.map(({ windowSeconds }) => windowSeconds)), 's'),
    ];
  } finally {
    await lab.close();
  }
}

async function addServers(lab: Lab, size: number): Promise<string[]> {
  const servers: string[] = [];
  for (let n = 0; n < size; n++) {
    const server = `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`;
    const exporter = await lab.addHost(`c${n}`);
    lab.addServer(server, { host: `c${n}` });
    exporter.addDisk(`${server}/root`, 1).write(0, n + 1);
    servers.push(server);
  }
  return servers;
}

async function runOnce(lab: Lab): Promise<GroupRun> {
  const began = performance.now();
  const { run } = (await lab.call('POST', '/v1/runs', { body: { policy: 'group' } })).body;
  const { windowMs } = (await lab.call('POST', `/v1/runs/${run}/moment`)).body;
  await lab.until(run, 'staged');
  const { status, body } = await lab.call('POST', `/v1/runs/${run}/commit`);
  if (status !== 200) throw new Error(`The run cannot be committed: ${JSON.stringify(body)}`);
  return { seconds: (performance.now() - began) / 1000, windowSeconds: windowMs / 1000 };
}
