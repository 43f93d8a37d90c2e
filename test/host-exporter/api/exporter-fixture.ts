import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startExporter } from '../../../host-exporter/api/exporter.ts';
import { readExporterSettings } from '../../../host-exporter/api/exporter-settings.ts';
import type { MemberReport } from '../../../host-exporter/api/member-report.ts';
import type { LibvirtGuest } from '../libvirt/libvirt-guest.ts';
import { SERVICE, type StubCloud } from './stub-cloud.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly json: Partial<MemberReport> & {
    readonly code?: string;
    readonly detail?: string;
    readonly disks?: readonly object[];
  };
}

/** One exporter, as its callers see it. */
export interface ExporterClient {
  readonly url: string;
  call(method: string, path: string, body?: object, token?: string): Promise<ApiAnswer>;
  /** A step of the guest's server in a run; `''` is PUT. Throws unless it is answered 200. */
  step(run: string, step: '' | 'freeze' | 'checkpoint' | 'thaw' | 'export'): Promise<MemberReport>;
  /** All steps, then waits until it is staged. */
  stage(run: string): Promise<MemberReport>;
  until(run: string, ...states: string[]): Promise<MemberReport>;
  end(run: string, outcome: 'committed' | 'abandoned'): Promise<ApiAnswer>;
}

/** The settings file of an exporter for one guest. */
export async function writeSettings(
  guest: LibvirtGuest,
  cloud: StubCloud,
  port: number,
  more: object = {},
): Promise<string> {
  const { scratch, state } = guest.directory;
  const settings = {
    ...{ address: '127.0.0.1', port, url: `http://127.0.0.1:${port}`, host: 'compute-1', catalog: cloud.url },
    keystone: { auth_url: `${cloud.url}/v3`, ...SERVICE },
    ...{ libvirt: guest.uri, scratch_directory: scratch, state_directory: state, scratch_low_water: 1024 * 1024 },
    ...{ freeze_seconds: 60, watchdog_seconds: 60, audit_share: 0, ...more },
  };
  const file = guest.directory.file('exporter.yaml');
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 });
  return file;
}

/** Starts an exporter in this process. */
export async function startHere(guest: LibvirtGuest, cloud: StubCloud, port: number, more: object = {}) {
  const settings = await readExporterSettings(await writeSettings(guest, cloud, port, more));
  const log: string[] = [];
  const exporter = await startExporter({ settings, version: '0', log: (line) => log.push(line), environment: {} });
  return { ...clientOf(guest, cloud, `http://127.0.0.1:${exporter.port}`), log, stop: exporter.stop };
}

export function clientOf(guest: LibvirtGuest, cloud: StubCloud, url: string): ExporterClient {
  async function call(method: string, path: string, body?: object, token = 'owner'): Promise<ApiAnswer> {
    const headers = { 'x-auth-token': token };
    const answer = await fetch(url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    return { status: answer.status, json: (await answer.json()) as ApiAnswer['json'] };
  }
  const pathOf = (run: string) => `/v1/runs/${run}/servers/${guest.uuid}`;

  async function step(run: string, name: '' | 'freeze' | 'checkpoint' | 'thaw' | 'export'): Promise<MemberReport> {
    const [method, path] = name === '' ? ['PUT', pathOf(run)] : ['POST', `${pathOf(run)}/${name}`];
    const { status, json } = await call(method ?? '', path ?? '', name === '' ? { catalog: cloud.url } : undefined);
    if (status === 200) return json as MemberReport;
    throw new Error(`${method} ${path}: ${status} ${json.code} ${json.detail}`);
  }

  async function until(run: string, ...states: string[]): Promise<MemberReport> {
    for (let said = ''; ; await sleep(30)) {
      const { json } = await call('GET', pathOf(run));
      if (states.includes(json.state ?? '')) return json as MemberReport;
      if (json.state === 'failed') throw new Error(`failed: ${json.problem?.message} (waited for ${states})`);
      said = json.state ?? said;
    }
  }

  async function stage(run: string): Promise<MemberReport> {
    for (const name of ['', 'freeze', 'checkpoint', 'thaw', 'export'] as const) await step(run, name);
    return until(run, 'staged');
  }

  return { url, call, step, stage, until, end: (run, outcome) => call('DELETE', `${pathOf(run)}?outcome=${outcome}`) };
}
