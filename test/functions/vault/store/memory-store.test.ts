import { openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { describeObjectStore } from '../../../conformance/object-store.ts';
import { openFaultyStore } from '../../../faulty-store.ts';

describeObjectStore('memory', async () => openMemoryStore());
describeObjectStore('counted memory', async () => openCountedStore(openMemoryStore()));
describeObjectStore('faulty memory without faults', async () => openFaultyStore(openMemoryStore(), []));
