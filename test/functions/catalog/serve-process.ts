import { openFileStore } from '#vault/store/file-store.ts';
import { readCatalogSettings } from '../../../functions/catalog/settings.ts';
import { serveCatalog } from '../../../functions/command-line/serve/serve-catalog.ts';
import { openSource } from './lab.ts';
import { filePlaces, openTestVaults } from './test-vaults.ts';

// What `ekko serve` runs, over vaults in a folder: a process that tests can kill. Arguments: settings file, folder of the vaults.
const [settingsFile = '', folder = ''] = process.argv.slice(2);
const settings = await readCatalogSettings(settingsFile);
const store = openFileStore(settings.registry ?? '');
const tenants = openTestVaults(filePlaces(folder));
const { port } = await serveCatalog({
  ...{ settings, store, tenants, openSource, leaseMs: 400 },
  log: (line) => console.error(line),
});
console.log(`listening on ${port}`);
