import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ServiceStatus {
  readonly name: string;
  /** `running`: it has answered, and every daemon is there. `starting`: it has not answered yet. */
  readonly state: 'running' | 'starting' | 'ended';
  /** Daemons that are not there any more. */
  readonly missing: readonly string[];
  /** Memory of all its processes; what several share is counted in part for each (PSS). */
  readonly bytes: number;
  readonly address: string;
}

/** What is in the folder of a run's services, by name. Services without daemons of their own are left out. */
export async function cloudStatus(folder: string): Promise<ServiceStatus[]> {
  const groups = await memoryOfGroups();
  const names = (await readdir(folder)).sort();
  const all = await Promise.all(names.map((name) => statusOf(join(folder, name), name, groups)));
  return all.filter((status) => status !== undefined);
}

async function statusOf(folder: string, name: string, groups: Map<number, number>): Promise<ServiceStatus | undefined> {
  const daemons = (await readdir(folder)).filter((file) => file.endsWith('.pid'));
  if (daemons.length === 0) return undefined;
  const pids = await Promise.all(daemons.map(async (file) => Number(await readFile(join(folder, file), 'utf8'))));
  const missing = daemons.filter((_, at) => !groups.has(pids[at] ?? 0)).map((file) => file.slice(0, -'.pid'.length));
  const bytes = pids.reduce((sum, pid) => sum + (groups.get(pid) ?? 0), 0);
  const answered = existsSync(join(folder, 'settings.json'));
  const state = missing.length > 0 ? 'ended' : answered ? 'running' : 'starting';
  return { name, state, missing, bytes, address: answered ? await addressOf(folder) : '' };
}

/** The first that its settings have of the words for where it is. */
async function addressOf(folder: string): Promise<string> {
  const settings = JSON.parse(await readFile(join(folder, 'settings.json'), 'utf8')) as Record<string, unknown>;
  const { authUrl, origin, url, port } = settings;
  const found = authUrl ?? origin ?? (port === undefined ? url : `127.0.0.1:${port}`);
  return typeof found === 'string' ? found : '';
}

/** Process group -> bytes of all its processes. */
async function memoryOfGroups(): Promise<Map<number, number>> {
  const groups = new Map<number, number>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const group = await groupOf(pid).catch(() => undefined);
    if (group !== undefined) groups.set(group, (groups.get(group) ?? 0) + (await memoryOf(pid).catch(() => 0)));
  }
  return groups;
}

/** Undefined for a process that has ended and is only still listed. The program's name, which comes before, may hold anything. */
async function groupOf(pid: string): Promise<number | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [state, , group] = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' ? undefined : Number(group);
}

async function memoryOf(pid: string): Promise<number> {
  const [, kib = '0'] = /^Pss:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}
