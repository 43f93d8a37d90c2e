// Fills a vault with a synthetic history: make-history.ts VAULT KEY-FILE SEGMENTS POINTS CHANGED. Prints the runs of its points.
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openStore } from '#vault/store/open-store.ts';
import { openVault } from '#vault/vault.ts';
import { writeHistory } from '../synthetic-history.ts';

const [url = '', keyFile = '', ...numbers] = process.argv.slice(2);
const [segments = 0, points = 0, changed = 0] = numbers.map(Number);
const vault = await openVault(await openStore(url), keyFileProvider(keyFile));
console.log(JSON.stringify(await writeHistory(vault, { segments, points, changed })));
