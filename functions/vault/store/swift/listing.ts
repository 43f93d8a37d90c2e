import { isKeyPart } from '../check-key.ts';
import type { StoredObject } from '../object-store.ts';
import { asRecord } from './fields.ts';
import type { HttpAnswer } from './http-exchange.ts';
import { oddAnswer, refusalOf, type SwiftRequests } from './swift-requests.ts';
import { encodePath, type SwiftPlace } from './swift-url.ts';

/** 10,000 rows, which are a page, of the longest names with all their escapes. */
const LONGEST_PAGE = 64 * 1024 * 1024;

interface Row {
  readonly name: string;
  readonly size: number;
}

/**
 * What a place holds below `prefix`, from after `after` (both without the place's own prefix), page by page. Names that are no keys are
 * none of ours and left out. Each page must go on where the last one ended, so that a listing comes to an end.
 */
export async function* listObjects(
  requests: SwiftRequests,
  place: SwiftPlace,
  { prefix, after, what }: { prefix: string; after: string; what: string },
): AsyncGenerator<StoredObject> {
  const below = place.prefix + prefix;
  const container = encodePath(place.container);
  for (let marker = after === '' ? undefined : place.prefix + after; ; ) {
    // No limit: the service has its own, and refuses larger ones.
    const query = new URLSearchParams({ format: 'json', prefix: below, ...(marker && { marker }) });
    const path = `${container}?${query}`;
    const rows: Row[] = await requests({ method: 'GET', path, most: LONGEST_PAGE, what }, (answer) =>
      readPage(answer, { below, marker, what }),
    );
    for (const { name, size } of rows) {
      const key = name.slice(place.prefix.length);
      if (key.split('/').every(isKeyPart)) yield { key, size };
    }
    const last = rows.at(-1);
    if (last === undefined) return;
    marker = last.name;
  }
}

interface Asked {
  readonly below: string;
  /** What the page comes after. */
  readonly marker: string | undefined;
  readonly what: string;
}

/** A page is empty only at the end: a container in shards may give short ones before. */
function readPage(answer: HttpAnswer, asked: Asked): Row[] {
  if (answer.status === 404) return [];
  if (answer.status !== 200) throw refusalOf(answer, asked.what);
  const found = parseRows(answer.body);
  if (found === undefined) throw oddAnswer(asked.what, 'what Swift answers is no listing');
  let last = asked.marker;
  for (const { name } of found) {
    if (!name.startsWith(asked.below)) throw oddAnswer(asked.what, 'the listing names what was not asked for');
    if (last !== undefined && compareBytes(last, name) >= 0)
      throw oddAnswer(asked.what, 'the listing is out of order, or repeats itself');
    last = name;
  }
  return found;
}

function parseRows(body: Buffer): Row[] | undefined {
  try {
    const rows: unknown = JSON.parse(body.toString());
    if (!Array.isArray(rows)) return undefined;
    const read = rows.map(asRecord).map((row) => ({ name: row?.['name'], size: row?.['bytes'] }));
    return read.every(isRow) ? read : undefined;
  } catch {
    return undefined;
  }
}

function isRow(row: { name: unknown; size: unknown }): row is Row {
  return typeof row.name === 'string' && Number.isSafeInteger(row.size) && Number(row.size) >= 0;
}

/** As Swift orders names: by their bytes in UTF-8, which is not JavaScript's order. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
