import { readFile } from 'node:fs/promises';
import { EkkoError } from '#vault/errors.ts';
import { catalogHandler } from '../../catalog/http-handler.ts';
import { type CatalogParts, openCatalog } from '../../catalog/open-catalog.ts';
import type { CatalogSettings } from '../../catalog/settings.ts';
import type { HttpResult } from '../../host/http-event.ts';
import { type HttpServer, openHttpServer } from '../../host/http-server.ts';

export interface ServedCatalog extends CatalogParts {
  readonly settings: CatalogSettings;
  readonly log: (line: string) => void;
}

/** Serves the catalog's API; resolves once it listens. Closing it ends the vaults that are open; runs go on when somebody asks again. */
export async function serveCatalog({ settings, log, ...parts }: ServedCatalog): Promise<HttpServer> {
  const catalog = openCatalog(settings, parts);
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
      await Promise.all([catalog.runs.closeAll(), catalog.restores.closeAll()]);
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
