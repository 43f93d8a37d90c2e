import { EkkoError } from '#vault/errors.ts';
import { checkRecord, type ExporterRecord, readRecord } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';

/** Exporters register each minute; one that did not for so long is taken for gone. */
const STALE_MS = 180_000;
/** A registration that changes nothing is written down again after so long only. */
const WRITE_AGAIN_MS = 50_000;
const PAGE = 1000;
const MOST_HOSTS = 20_000;
const TRIES = 5;

/** Notes that the host's exporter is there. Throws `bad-input` for a URL that secrets must not travel to. */
export async function registerExporter(
  registry: Registry,
  host: string,
  url: string,
  now: Date,
): Promise<ExporterRecord> {
  checkUrl(url);
  const record: ExporterRecord = { host, url: url.replace(/\/$/, ''), seenAt: now.toISOString() };
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const found = await readRecord(registry, 'exporters', host);
    if (found !== undefined && found.value.url === record.url) {
      if (now.getTime() - Date.parse(found.value.seenAt) < WRITE_AGAIN_MS) return found.value;
    }
    if (
      (await registry.write(
        ['exporters', host],
        record,
        found?.version ?? (await registry.lastVersion(['exporters', host])),
      )) === 'written'
    )
      return record;
  }
  return record;
}

/** Callers' tokens and tickets go there. */
function checkUrl(text: string): void {
  const url = URL.parse(text);
  const loopback = url !== null && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (
    url !== null &&
    url.username === '' &&
    url.search === '' &&
    (url.protocol === 'https:' || (loopback && url.protocol === 'http:'))
  )
    return;
  throw new EkkoError('bad-input', 'The URL of an exporter is https://<host>[:port], without a user or a query.');
}

/** All that ever registered, with whether they still do. */
export interface KnownExporter extends ExporterRecord {
  readonly stale: boolean;
}

export function isStale({ seenAt }: ExporterRecord, now: Date): boolean {
  return now.getTime() - Date.parse(seenAt) > STALE_MS;
}

export async function knownExporters(registry: Registry, now: Date): Promise<KnownExporter[]> {
  const known: KnownExporter[] = [];
  let marker: string | undefined;
  do {
    const { records, next } = await registry.list(['exporters'], { limit: PAGE, marker });
    const found = records.map(({ record }) => checkRecord('exporters', record));
    known.push(...found.map((record) => ({ ...record, stale: isStale(record, now) })));
    marker = next === undefined ? undefined : found.at(-1)?.host;
  } while (marker !== undefined && known.length < MOST_HOSTS);
  return known;
}
