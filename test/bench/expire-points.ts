// Expires the oldest points of a vault: expire-points.ts VAULT KEY-FILE COUNT
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openStore } from '#vault/store/open-store.ts';
import { openVault } from '#vault/vault.ts';

const [url = '', keyFile = '', count = '0'] = process.argv.slice(2);
const vault = await openVault(await openStore(url), keyFileProvider(keyFile));
const points = [...vault.journal.state().points.keys()].slice(0, Number(count));
const at = new Date().toISOString();
await vault.journal.append(() => ({ type: 'points-expired', points, reason: 'bench', at }));
