import { EkkoError } from '#vault/errors.ts';
import { trustAuthority } from '#vault/store/swift/authority.ts';
import { openRegistryStore } from '../../catalog/registry/registry-store.ts';
import { readCatalogSettings } from '../../catalog/settings.ts';
import { openSwiftVaults } from '../../catalog/vaults/swift-vaults.ts';
import { openImageSources } from '../../host/image-sources.ts';
import { openTenantFunctions } from '../../host/tenant-functions.ts';
import { watchSignals } from '../interruption.ts';
import type { CommandContext } from '../run-command.ts';
import { serveCatalog } from './serve-catalog.ts';

export interface ServeOptions {
  /** Path of the settings file. */
  readonly settings: string | undefined;
  /** Where the registry lies, where the settings do not say it: a URL, or `sql`. */
  readonly registry: string | undefined;
}

/** What requests under way get before they are cut off. */
const GRACE_MS = 10_000;

const ALONE =
  'The registry is in Swift, which lets two writers both win: let no second process serve from it. `registry: sql` serves any number.';

/** Serves until it is told to end. Throws `bad-input` for settings that cannot be used. */
export async function serve({ settings: path, registry }: ServeOptions, { screen }: CommandContext): Promise<void> {
  if (path === undefined) throw new EkkoError('bad-input', 'Name the settings file by --settings or EKKO_SETTINGS.');
  const settings = await readCatalogSettings(path);
  const { authorities, endpoints, journal_file: journalFile, workers } = settings;
  if (authorities !== undefined) await trustAuthority(authorities);
  const store = await openRegistryStore(settings, registry);
  if (store.url.startsWith('swift:')) screen.remark(ALONE);
  const log = (line: string) => screen.remark(line);
  const functions = openTenantFunctions(workers, log);
  const { signal, ignore } = watchSignals(() =>
    screen.remark('Ending; runs under way go on when somebody asks for them.'),
  );
  const ended = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  const tenants = openSwiftVaults({ endpoints, authorities, journalFile, functions });
  const openSource = openImageSources();
  const server = await serveCatalog({ settings, store, tenants, openSource, log });
  const scheme = settings.tls === undefined ? 'http' : 'https';
  screen.lines(`Serving ${settings.public_url} on ${scheme}://${settings.listen.host}:${server.port}`);
  await ended;
  await server.close(GRACE_MS);
  ignore();
}
