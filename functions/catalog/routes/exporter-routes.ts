import { EkkoError } from '#vault/errors.ts';
import { checker } from '../../rim/strict-ajv.ts';
import type { CallerRoute } from '../catalog.ts';
import { isStale, knownExporters, registerExporter } from '../exporters/registered-exporters.ts';
import { EXPORTER_WISH } from '../schemas.ts';

const checkWish = checker<{ url: string }>(EXPORTER_WISH, 'The exporter');

/** Which hypervisors have an exporter, and where. */
export const EXPORTER_ROUTES: readonly CallerRoute[] = [
  {
    ...{ method: 'PUT', path: '/v1/exporters/{host}', right: 'register' },
    serve: async ({ registry, now }, { params, body }) => {
      const host = params['host'] ?? '';
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/.test(host))
        throw new EkkoError('bad-input', 'The host is not a name as Nova has them.');
      const record = await registerExporter(registry, host, checkWish(structuredClone(body)).url, now());
      return { status: 200, body: { ...record, stale: isStale(record, now()) } };
    },
  },
  {
    ...{ method: 'GET', path: '/v1/exporters', right: 'oversee' },
    serve: async ({ registry, now }) => ({ status: 200, body: { exporters: await knownExporters(registry, now()) } }),
  },
];
