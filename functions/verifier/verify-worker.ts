import { workerData } from 'node:worker_threads';
import { serveJobs } from '#vault/restore/job-threads.ts';
import { openReader, type ReaderSettings } from '#vault/restore/open-reader.ts';
import { openStore } from '#vault/store/open-store.ts';
import { checkObject, type ObjectCheck } from './check-object.ts';

/** Entry of a worker thread: `workerData` are `ReaderSettings`, without keys where none were given; each job is an `ObjectCheck`. */
const settings = workerData as ReaderSettings;
const keyring = settings.epochs.length === 0 ? undefined : openReader(settings).keyring;
const store = openStore(settings.url);
serveJobs((check: ObjectCheck) => checkObject(store, keyring, check));
