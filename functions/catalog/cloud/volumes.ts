import type { Caller } from '../caller.ts';
import { getFromCloud } from './tenant-call.ts';

export interface CloudVolume {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

const PAGE = 1000;
const MOST_PAGES = 5;

/** Volumes of the project by id, for people to read: at most 5,000. Throws `cloud-failed`, `token-refused`, `forbidden`. */
export async function volumesOf(cinder: string, caller: Caller): Promise<Map<string, CloudVolume>> {
  const found = new Map<string, CloudVolume>();
  let marker = '';
  for (let page = 0; page < MOST_PAGES; page++) {
    const query = new URLSearchParams({ limit: String(PAGE), ...(marker && { marker }) });
    const body = await getFromCloud({ name: 'Cinder', endpoint: cinder }, caller, `/volumes/detail?${query}`);
    const { volumes } = (body ?? {}) as { volumes?: { id?: unknown; name?: unknown; size?: unknown }[] };
    for (const { id, name, size } of volumes ?? []) {
      if (typeof id === 'string')
        found.set(id, { name: String(name ?? '').slice(0, 255), size: Number(size) * 1024 ** 3 });
    }
    if ((volumes ?? []).length < PAGE) break;
    marker = String(volumes?.at(-1)?.id);
  }
  return found;
}
