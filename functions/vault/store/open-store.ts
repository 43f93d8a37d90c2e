import { fileURLToPath } from 'node:url';
import { badUrl } from './bad-url.ts';
import { openFileStore } from './file-store.ts';
import type { ObjectStore } from './object-store.ts';

/**
 * The store that a person names: a path, a `file:` URL, or `s3://bucket/prefix` or `swift://container/prefix` with a query (see
 * `docs/operations.md`). Credentials come from `environment`, never from the URL. Throws `bad-input`. Nothing is read or made yet.
 * The adapters of other than files are loaded when they are asked for: no start pays for SDKs that it does not use.
 */
export async function openStore(url: string, environment: NodeJS.ProcessEnv = process.env): Promise<ObjectStore> {
  if (url === '' || url.includes('\0')) throw badUrl(url, 'give a path, or a file:, s3: or swift: URL');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) return openFileStore(url);
  if (scheme === 'file') return openFileStore(pathOf(url));
  if (scheme === 's3') return (await import('./s3-store.ts')).openS3Store(url, environment);
  if (scheme === 'swift') return (await import('./swift-store.ts')).openSwiftStore(url, environment);
  throw badUrl(
    url,
    `${scheme}: is unknown; give a file:, s3: or swift: URL, or write a path with a colon in it as ./name`,
  );
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
