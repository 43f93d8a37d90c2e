import { EkkoError } from '#vault/errors.ts';
import { trustAuthority } from '#vault/store/swift/authority.ts';
import { openImageSources } from '../host/image-sources.ts';
import { openTenantFunctions } from '../host/tenant-functions.ts';
import { newLogger } from '../rim/observability.ts';
import { catalogHandler } from './http-handler.ts';
import { openCatalog } from './open-catalog.ts';
import { openRegistryStore } from './registry/registry-store.ts';
import { readCatalogSettings } from './settings.ts';
import { openSwiftVaults } from './vaults/swift-vaults.ts';

type Handler = ReturnType<typeof catalogHandler>;

let opening: Promise<Handler> | undefined;

/**
 * The catalog's API behind API Gateway (REST, or HTTP with payloads of version 1 or 2), set up at the first call by the file that
 * EKKO_SETTINGS names. Rejects while that cannot be used; the next call tries again. What goes on after its answer (parts of runs, upkeeps,
 * copies) needs a host that lets the process live between calls.
 */
export async function handler(event: unknown, context: unknown): Promise<unknown> {
  opening ??= open(process.env).catch((error: unknown) => {
    opening = undefined;
    throw error;
  });
  const handle = await opening;
  return handle(withoutStage(event), context as never);
}

async function open({ EKKO_SETTINGS: path, EKKO_REGISTRY: place }: NodeJS.ProcessEnv): Promise<Handler> {
  if (!path) throw new EkkoError('bad-input', 'EKKO_SETTINGS is not set: it names the settings file of the catalog.');
  const settings = await readCatalogSettings(path);
  const { authorities, endpoints, journal_file: journalFile, workers } = settings;
  if (authorities !== undefined) await trustAuthority(authorities);
  const store = await openRegistryStore(settings, place || undefined);
  const logger = newLogger('functions');
  const functions = openTenantFunctions(workers, (line) => logger.info(line));
  const tenants = openSwiftVaults({ endpoints, authorities, journalFile, functions });
  return catalogHandler(openCatalog(settings, { store, tenants, openSource: openImageSources() }));
}

/** An HTTP API puts the name of its stage before the path, but for `$default`. */
function withoutStage(event: unknown): unknown {
  const { rawPath, requestContext } = (event ?? {}) as { rawPath?: unknown; requestContext?: { stage?: unknown } };
  const stage = requestContext?.stage;
  if (typeof rawPath !== 'string' || typeof stage !== 'string' || !rawPath.startsWith(`/${stage}/`)) return event;
  return { ...(event as object), rawPath: rawPath.slice(stage.length + 1) };
}
