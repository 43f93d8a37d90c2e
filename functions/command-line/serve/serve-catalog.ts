import { readFile } from 'node:fs/promises';
import { EkkoError } from '#vault/errors.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { catalogHandler } from '../../catalog/http-handler.ts';
import { openCatalog } from '../../catalog/open-catalog.ts';
import type { CatalogSettings } from '../../catalog/settings.ts';
import type { TenantVaults } from '../../catalog/vaults/tenant-vaults.ts';
import type { HttpResult } from '../../host/http-event.ts';
import { type HttpServer, openHttpServer } from '../../host/http-server.ts';

export interface ServedCatalog {
  readonly settings: CatalogSettings;
  /** Where the registry lies. */
  readonly registry: ObjectStore;
  readonly tenants: TenantVaults;
  readonly log: (line: string) => void;
}

/** Serves the catalog's API; resolves once it listens. Closing it ends the vaults that are open; runs go on when somebody asks again. */
export async function serveCatalog({ settings, registry, tenants, log }: ServedCatalog): Promise<HttpServer> {
  const catalog = openCatalog(settings, registry, tenants);
  const handle = catalogHandler(catalog);
  const server = await openHttpServer({
    listen: settings.listen,
    ...(settings.tls === undefined ? {} : { tls: await readTls(settings.tls) }),
    // Nothing in the routes looks at a Lambda context.
    handler: async (event) => (await handle(event, {} as never)) as HttpResult,
    log,
  });
  return {
    port: server.port,
    async close(graceMs) {
      await server.close(graceMs);
      await catalog.runs.closeAll();
    },
  };
}

async function readTls({ certificate, key }: { readonly certificate: string; readonly key: string }) {
  const read = (path: string) =>
    readFile(path).catch((cause: unknown) => {
      throw new EkkoError('bad-input', `${path}, which the settings file names, cannot be read.`, { cause });
    });
  return { certificate: await read(certificate), key: await read(key) };
}
