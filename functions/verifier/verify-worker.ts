import { workerData } from 'node:worker_threads';
import { serveJobs } from '#vault/restore/job-threads.ts';
import { openLockedStore, openReader, type ReaderSettings } from '#vault/restore/open-reader.ts';
import { checkObject, type ObjectCheck } from './check-object.ts';

/** Entry of a worker thread: `workerData` are `ReaderSettings`, without keys where none were given; each job is an `ObjectCheck`. */
const settings = workerData as ReaderSettings;
const opened = settings.epochs.length === 0 ? openKeyless(settings) : openReader(settings);
serveJobs(async (check: ObjectCheck) => {
  const { store, keyring } = await opened;
  return checkObject(store, keyring, check);
});

async function openKeyless({ url, lock }: ReaderSettings) {
  return { store: await openLockedStore(url, lock), keyring: undefined };
}
