import { checker } from '../../rim/strict-ajv.ts';
import type { CallerRoute } from '../catalog.ts';
import { listPoints, showPoint, showTopology } from '../points/list-points.ts';
import type { UpkeepRecord } from '../registry/records.ts';
import { UPKEEP_WISH } from '../schemas.ts';
import { lastUpkeep, startUpkeep, type UpkeepWish } from '../upkeep/upkeep.ts';
import { withVault } from '../vaults/with-vault.ts';
import { nameIn } from './names.ts';
import { pageOf } from './page.ts';

const checkWish = checker<UpkeepWish>(UPKEEP_WISH, 'The upkeep');

/** What lies in a vault, and what is done to it. */
export const POINT_ROUTES: readonly CallerRoute[] = [
  {
    ...{ method: 'GET', path: '/v1/vaults/{vault}/points', right: 'read' },
    serve: async (catalog, request, caller) => {
      const wish = { ...pageOf(request.query), group: request.query.get('group') ?? undefined };
      return {
        status: 200,
        body: await withVault(catalog, caller, nameIn(request.params, 'vault'), ({ vault }) => listPoints(vault, wish)),
      };
    },
  },
  {
    ...{ method: 'GET', path: '/v1/vaults/{vault}/points/{point}', right: 'read' },
    serve: async (catalog, request, caller) => {
      const point = request.params['point'] ?? '';
      return {
        status: 200,
        body: await withVault(catalog, caller, nameIn(request.params, 'vault'), ({ vault }) => showPoint(vault, point)),
      };
    },
  },
  {
    ...{ method: 'GET', path: '/v1/vaults/{vault}/points/{point}/topology', right: 'read' },
    serve: async (catalog, request, caller) => {
      const point = request.params['point'] ?? '';
      return {
        status: 200,
        body: await withVault(catalog, caller, nameIn(request.params, 'vault'), ({ vault }) =>
          showTopology(vault, point),
        ),
      };
    },
  },
  {
    ...{ method: 'POST', path: '/v1/vaults/{vault}/upkeep', right: 'write' },
    serve: async (catalog, { params, body }, caller) => {
      const wish = checkWish(structuredClone(body ?? {}));
      return { status: 202, body: shown(await startUpkeep(catalog, caller, nameIn(params, 'vault'), wish)) };
    },
  },
  {
    ...{ method: 'GET', path: '/v1/vaults/{vault}/upkeep', right: 'read' },
    serve: async (catalog, { params }, caller) => ({
      status: 200,
      body: shown(await lastUpkeep(catalog, caller, nameIn(params, 'vault'))),
    }),
  },
];

function shown({ id, ...rest }: UpkeepRecord) {
  return { upkeep: id, ...rest };
}
