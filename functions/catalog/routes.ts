import type { Route } from './catalog.ts';
import { COPY_ROUTES } from './routes/copy-routes.ts';
import { EXPORTER_ROUTES } from './routes/exporter-routes.ts';
import { openRoutes } from './routes/open-routes.ts';
import { POINT_ROUTES } from './routes/point-routes.ts';
import { POLICY_ROUTES } from './routes/policy-routes.ts';
import { RESTORE_ROUTES } from './routes/restore-routes.ts';
import { RUN_ROUTES } from './routes/run-routes.ts';
import { VAULT_ROUTES } from './routes/vault-routes.ts';

/** Every call of the API. */
export const ROUTES: readonly Route[] = [
  ...openRoutes(() => ROUTES),
  ...VAULT_ROUTES,
  ...POINT_ROUTES,
  ...COPY_ROUTES,
  ...POLICY_ROUTES,
  ...RUN_ROUTES,
  ...RESTORE_ROUTES,
  ...EXPORTER_ROUTES,
];
