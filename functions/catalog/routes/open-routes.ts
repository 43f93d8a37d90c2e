import type { OpenRoute, Route } from '../catalog.ts';
import { openApi } from '../openapi.ts';
import { POLICY_SCHEMA } from '../policies/policy-schema.ts';

/** What needs no token. `all`: every route, for the document that describes them. */
export const openRoutes = (all: () => readonly Route[]): readonly OpenRoute[] => [
  {
    method: 'GET',
    path: '/healthcheck',
    right: 'anyone',
    serve: async () => ({ status: 200, body: { status: 'ok' } }),
  },
  {
    ...{ method: 'GET', path: '/v1', right: 'anyone' },
    serve: async () => ({
      status: 200,
      body: {
        name: 'Ekko catalog',
        version: '1',
        openapi: '/v1/openapi.json',
        policySchema: '/v1/schemas/policy.json',
      },
    }),
  },
  {
    ...{ method: 'GET', path: '/v1/openapi.json', right: 'anyone' },
    serve: async ({ publicUrl }) => ({ status: 200, body: openApi(all(), publicUrl) }),
  },
  {
    ...{ method: 'GET', path: '/v1/schemas/policy.json', right: 'anyone' },
    serve: async ({ publicUrl }) => ({
      status: 200,
      body: { ...POLICY_SCHEMA, $id: `${publicUrl}/v1/schemas/policy.json` },
      headers: { 'content-type': 'application/schema+json' },
    }),
  },
];
