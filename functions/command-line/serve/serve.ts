import { EkkoError } from '#vault/errors.ts';
import { openStore } from '#vault/store/open-store.ts';
import { trustAuthority } from '#vault/store/swift/authority.ts';
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
  /** URL of the registry's store, where the settings do not say it. */
  readonly registry: string | undefined;
}

/** What requests under way get before they are cut off. */
const GRACE_MS = 10_000;

/** Serves until it is told to end. Throws `bad-input` for settings that cannot be used. */
export async function serve({ settings: path, registry }: ServeOptions, { screen }: CommandContext): Promise<void> {
  if (path === undefined) throw new EkkoError('bad-input', 'Name the settings file by --settings or EKKO_SETTINGS.');
  const settings = await readCatalogSettings(path);
  const { authorities, endpoints, journal_file: journalFile, workers } = settings;
  if (authorities !== undefined) await trustAuthority(authorities);
  const url = settings.registry ?? registry;
  if (url === undefined) throw new EkkoError('bad-input', `${path} names no registry, and EKKO_REGISTRY is not set.`);
  const log = (line: string) => screen.remark(line);
  const functions = openTenantFunctions(workers, log);
  const { signal, ignore } = watchSignals(() =>
    screen.remark('Ending; runs under way go on when somebody asks for them.'),
  );
  const ended = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  const tenants = openSwiftVaults({ endpoints, authorities, journalFile, functions });
  const openSource = openImageSources();
  const server = await serveCatalog({ settings, store: await openStore(url), tenants, openSource, log });
  const scheme = settings.tls === undefined ? 'http' : 'https';
  screen.lines(`Serving ${settings.public_url} on ${scheme}://${settings.listen.host}:${server.port}`);
  await ended;
  await server.close(GRACE_MS);
  ignore();
}
