import { EkkoError } from '../errors.ts';

/** The error for a vault's URL that cannot be used, with what to do. Shows no more of the URL than cannot hold a password. */
export function badUrl(url: string, advice: string, cause?: unknown): EkkoError {
  return new EkkoError('bad-input', `${shown(url)} is not a vault that can be opened: ${advice}.`, { cause });
}

/** Without a query; of a URL with an @, after which a host comes in most, only the scheme. Keys of S3 have slashes in them. */
function shown(url: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0];
  if (scheme !== undefined && url.includes('@')) return `"${scheme}…"`;
  return JSON.stringify((scheme === undefined ? url : url.replace(/[?#].*$/s, '')).slice(0, 80));
}
