import { checker } from '../../rim/strict-ajv.ts';
import type { CallerRoute } from '../catalog.ts';
import { type CopyWish, lastCopy, startCopy } from '../copies/copies.ts';
import type { CopyRecord } from '../registry/records.ts';
import { COPY_WISH } from '../schemas.ts';
import { nameIn } from './names.ts';

const checkWish = checker<CopyWish>(COPY_WISH, 'The copy');

/** Restore points of one vault that go to another one of the project. */
export const COPY_ROUTES: readonly CallerRoute[] = [
  {
    ...{ method: 'POST', path: '/v1/vaults/{vault}/copies', right: 'write' },
    serve: async (catalog, { params, body }, caller) => {
      const wish = checkWish(structuredClone(body ?? {}));
      return { status: 202, body: shown(await startCopy(catalog, caller, nameIn(params, 'vault'), wish)) };
    },
  },
  {
    ...{ method: 'GET', path: '/v1/vaults/{vault}/copies/{to}', right: 'read' },
    serve: async (catalog, { params }, caller) => ({
      status: 200,
      body: shown(await lastCopy(catalog, caller, nameIn(params, 'vault'), nameIn(params, 'to'))),
    }),
  },
];

function shown({ id, ...rest }: CopyRecord) {
  return { copy: id, ...rest };
}
