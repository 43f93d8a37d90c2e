import { fileURLToPath } from 'node:url';
import { EkkoError } from '../errors.ts';
import { openFileStore } from './file-store.ts';
import type { ObjectStore } from './object-store.ts';

/** The store that a person names: a path or a `file:` URL. Throws `bad-input`. Nothing is read or made yet. */
export function openStore(url: string): ObjectStore {
  if (url === '' || url.includes('\0')) throw badUrl(url, 'give a path or a file: URL');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) return openFileStore(url);
  if (scheme === 'file') return openFileStore(pathOf(url));
  if (scheme === 's3' || scheme === 'swift') {
    throw badUrl(url, 'this release keeps vaults in directories: give a path or a file: URL');
  }
  throw badUrl(url, `${scheme}: is unknown; give a file: URL, or write a path with a colon in it as ./name`);
}

function pathOf(url: string): string {
  // `file:a/b` would silently become `/a/b`.
  if (!/^file:\//i.test(url)) throw badUrl(url, 'the path of a file: URL begins with "/", as in file:/backups/a');
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw badUrl(url, 'it is not a URL of a local file, as in file:/backups/a', cause);
  }
}

function badUrl(url: string, advice: string, cause?: unknown): EkkoError {
  // A URL may carry a password, which must not get into messages.
  const shown = JSON.stringify(url.replace(/\/\/[^/@]*@/, '//').slice(0, 80));
  return new EkkoError('bad-input', `${shown} is not a vault that can be opened: ${advice}.`, { cause });
}
