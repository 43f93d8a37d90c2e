/** What an exporter must know after its own death of the runs that it took part in. Nothing secret is in it. */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asObject, asObjects, countOf, type JsonObject, memberOf, textOf } from '../qemu/json-value.ts';
import type { DiskReport, MemberReport, MemberState } from './member-report.ts';

export interface RunRecord {
  readonly run: string;
  readonly server: string;
  /** Of the server's owner. */
  readonly project: string;
  readonly report: MemberReport;
}

export interface RunRecords {
  /** Durable when it resolves. */
  write(record: RunRecord): Promise<void>;
  remove(run: string, server: string): Promise<void>;
  /** All that can be read; others are left alone. */
  readAll(): Promise<readonly RunRecord[]>;
}

const SUFFIX = '.json';

export async function openRunRecords(stateDirectory: string): Promise<RunRecords> {
  const folder = join(stateDirectory, 'runs');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const pathOf = (run: string, server: string) => join(folder, `${server}_${run}${SUFFIX}`);
  let drafts = 0;

  async function write(record: RunRecord): Promise<void> {
    const path = pathOf(record.run, record.server);
    const draft = `${path}.${++drafts}.tmp`;
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(record));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  }

  async function readAll(): Promise<readonly RunRecord[]> {
    const names = await readdir(folder);
    for (const name of names) if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true });
    const records = names.filter((name) => name.endsWith(SUFFIX)).map((name) => readRecord(join(folder, name)));
    return (await Promise.all(records)).flat();
  }

  return { write, readAll, remove: (run, server) => rm(pathOf(run, server), { force: true }) };
}

async function readRecord(path: string): Promise<readonly RunRecord[]> {
  try {
    const record = asObject(JSON.parse(await readFile(path, 'utf8')), path);
    const [run, server, project] = ['run', 'server', 'project'].map((key) => textOf(record, key));
    if (!run || !server || !project) return [];
    return [{ run, server, project, report: readReport(asObject(memberOf(record, 'report'), path)) }];
  } catch {
    return [];
  }
}

function readReport(report: JsonObject): MemberReport {
  const disks = asObjects(memberOf(report, 'disks'), 'disks').map(
    (disk): DiskReport => ({
      name: textOf(disk, 'name'),
      bytesTotal: countOf(disk, 'bytesTotal', 'a disk'),
      bytesDone: countOf(disk, 'bytesDone', 'a disk'),
    }),
  );
  return { ...report, state: textOf(report, 'state') as MemberState, disks };
}
