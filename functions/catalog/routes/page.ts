import { EkkoError } from '#vault/errors.ts';

const DEFAULT_LIMIT = 50;
const MOST = 200;
const LONGEST_MARKER = 255;

/** `?limit=&marker=` of a list. Throws `bad-input`. */
export function pageOf(query: URLSearchParams): { readonly limit: number; readonly marker?: string } {
  const limit = query.get('limit') ?? String(DEFAULT_LIMIT);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST) {
    throw new EkkoError('bad-input', `limit is a number from 1 to ${MOST}.`);
  }
  const marker = query.get('marker');
  if (marker !== null && (marker === '' || marker.length > LONGEST_MARKER)) {
    throw new EkkoError('bad-input', 'marker is the `next` of the page before.');
  }
  return { limit: Number(limit), ...(marker === null ? {} : { marker }) };
}
