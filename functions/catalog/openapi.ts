import { ANSWERS, type AnswerName } from './answer-schemas.ts';
import type { Route } from './catalog.ts';
import {
  COMMIT_WISH,
  COPY_WISH,
  EXPORTER_WISH,
  KNOWN_QUESTION,
  NOTICES,
  RESTORE_WISH,
  RUN_WISH,
  UPKEEP_WISH,
  VAULT_WISH,
} from './schemas.ts';

/** What the document says of a route, beside its place and right. */
interface Description {
  readonly summary: string;
  /** By status. */
  readonly answers: Readonly<Record<number, AnswerName>>;
  readonly body?: object;
  readonly optionalBody?: boolean;
  readonly query?: Readonly<Record<string, string>>;
  readonly problems?: readonly number[];
}

const PAGE = { limit: 'How many at most, 1 to 200; 50 by default.', marker: 'The `next` of the page before.' };

/** By method and path, as in `ROUTES`. */
const DESCRIPTIONS: Readonly<Record<string, Description>> = {
  'GET /healthcheck': { summary: 'Whether the service answers.', answers: { 200: 'Health' } },
  'GET /v1': { summary: 'What this is.', answers: { 200: 'Api' } },
  'GET /v1/openapi.json': { summary: 'This document.', answers: { 200: 'Document' } },
  'GET /v1/schemas/policy.json': { summary: 'JSON Schema of policies, for editors.', answers: { 200: 'Document' } },
  'PUT /v1/vaults/{vault}': {
    summary: 'Make a vault, or find it. Idempotent.',
    answers: { 200: 'Vault', 201: 'Vault' },
    body: VAULT_WISH,
    problems: [409],
  },
  'GET /v1/vaults/{vault}': { summary: 'A vault.', answers: { 200: 'Vault' } },
  'GET /v1/vaults': { summary: 'The vaults of the project.', answers: { 200: 'Vaults' }, query: PAGE },
  'DELETE /v1/vaults/{vault}': {
    summary: 'Forget a vault; its data stays.',
    answers: { 200: 'ForgottenVault' },
    problems: [409],
  },
  'GET /v1/vaults/{vault}/points': {
    summary: 'Restore points, newest first.',
    answers: { 200: 'Points' },
    query: { ...PAGE, group: 'Of this policy only.' },
  },
  'GET /v1/vaults/{vault}/points/{point}': { summary: 'A restore point.', answers: { 200: 'Point' } },
  'GET /v1/vaults/{vault}/points/{point}/topology': {
    summary: 'What the servers of a restore point were built of.',
    answers: { 200: 'Topology' },
  },
  'POST /v1/vaults/{vault}/upkeep': {
    summary: 'Start copies, retention, sweep and verification.',
    answers: { 202: 'Upkeep' },
    body: UPKEEP_WISH,
    problems: [409],
  },
  'GET /v1/vaults/{vault}/upkeep': { summary: 'The upkeep that was started last.', answers: { 200: 'Upkeep' } },
  'POST /v1/vaults/{vault}/copies': {
    summary: 'Start copying restore points to another vault of the project.',
    answers: { 202: 'Copy' },
    body: COPY_WISH,
    problems: [409],
  },
  'GET /v1/vaults/{vault}/copies/{to}': {
    summary: 'The copy to that vault that was started last.',
    answers: { 200: 'Copy' },
  },
  'PUT /v1/policies/{policy}': {
    summary: 'Make or change a policy.',
    answers: { 200: 'Policy', 201: 'Policy' },
    body: { $ref: '#/components/schemas/PolicyDefinition' },
    problems: [409],
  },
  'GET /v1/policies/{policy}': { summary: 'A policy.', answers: { 200: 'Policy' } },
  'GET /v1/policies': {
    summary: 'The policies of the project.',
    answers: { 200: 'Policies' },
    query: { ...PAGE, vault: 'Of this vault only.', overdue: '`true`: only those of which a run should have begun.' },
  },
  'DELETE /v1/policies/{policy}': {
    summary: 'Delete a policy; its restore points stay.',
    answers: { 200: 'ForgottenPolicy' },
    query: { points: '`expire`: its restore points expire; `keep`, which is the default.' },
    problems: [409],
  },
  'GET /v1/policies/{policy}/members': { summary: 'Whom the policy protects now.', answers: { 200: 'Members' } },
  'POST /v1/runs': {
    summary: 'Start a run of a policy.',
    answers: { 200: 'StartedRun', 201: 'Run' },
    body: RUN_WISH,
    problems: [409],
  },
  'GET /v1/runs/{run}': { summary: 'How a run goes.', answers: { 200: 'Run' } },
  'POST /v1/runs/{run}/images': {
    summary: 'Have the base images backed up that the run’s disks were built on; each call says how far that is.',
    answers: { 200: 'Images' },
    problems: [409],
  },
  'POST /v1/runs/{run}/moment': {
    summary: 'Take the moment of all members, and begin the exports.',
    answers: { 200: 'Run' },
    problems: [409],
  },
  'POST /v1/runs/{run}/retry': {
    summary: 'Export failed members again, from the same moment.',
    answers: { 200: 'Run' },
    problems: [409],
  },
  'POST /v1/runs/{run}/commit': {
    summary: 'Make the restore point.',
    answers: { 200: 'PointSummary' },
    body: COMMIT_WISH,
    optionalBody: true,
    problems: [409],
  },
  'DELETE /v1/runs/{run}': {
    summary: 'Give a run up.',
    answers: { 200: 'Run' },
    query: { reason: 'For the journal.' },
    problems: [409],
  },
  'GET /v1/runs/{run}/members/{server}/ticket': {
    summary: 'For exporters: the right to stage parts.',
    answers: { 200: 'Ticket' },
    problems: [409],
  },
  'POST /v1/runs/{run}/members/{server}/known': {
    summary: 'For exporters, where the policy says `sourceDedupe`: which segments the vault has.',
    answers: { 200: 'Known' },
    body: KNOWN_QUESTION,
    problems: [409],
  },
  'POST /v1/runs/{run}/notices': {
    summary: 'For exporters: parts are staged.',
    answers: { 202: 'Accepted' },
    body: NOTICES,
    problems: [409],
  },
  'GET /v1/vaults/{vault}/points/{point}/servers/{server}': {
    summary: 'What it takes to build a server of a point again, as far as the point tells.',
    answers: { 200: 'ServerPlan' },
  },
  'POST /v1/restores': {
    summary: 'Start to restore disks of a point to images.',
    answers: { 202: 'Restore' },
    body: RESTORE_WISH,
    problems: [409],
  },
  'GET /v1/restores/{restore}': { summary: 'How a restore goes.', answers: { 200: 'Restore' }, problems: [409] },
  'GET /v1/restores': { summary: 'The restores of the project.', answers: { 200: 'Restores' }, query: PAGE },
  'DELETE /v1/restores/{restore}': {
    summary: 'Cancel a restore, and remove images that it has made.',
    answers: { 200: 'Restore' },
    query: { images: '`unfinished`, which is the default; `volumes`: also those that were to become volumes; `all`.' },
    problems: [409],
  },
  'PUT /v1/exporters/{host}': {
    summary: 'For exporters: say each minute where this host’s one is.',
    answers: { 200: 'Exporter' },
    body: EXPORTER_WISH,
  },
  'GET /v1/exporters': { summary: 'All exporters.', answers: { 200: 'Exporters' } },
};

/** The OpenAPI 3.1 document of the routes. Throws where a route is not described: a fault of the program. */
export function openApi(routes: readonly Route[], publicUrl: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const described = DESCRIPTIONS[`${route.method} ${route.path}`];
    if (described === undefined) throw new Error(`${route.method} ${route.path} is not described.`);
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, described) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Ekko catalog',
      version: '1',
      description:
        'Vaults, policies, runs and restore points of a project. Every call carries a token of Keystone and acts in its project.',
    },
    servers: [{ url: publicUrl }],
    paths,
    components: {
      schemas: ANSWERS,
      securitySchemes: { keystone: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } },
    },
  };
}

function operation(
  { method, path, right }: Route,
  { summary, answers, body, optionalBody, query, problems = [] }: Description,
): object {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query ?? {}).map(([name, description]) => ({
    name,
    in: 'query',
    description,
    schema: { type: 'string' },
  }));
  const open = right === 'anyone';
  return {
    operationId:
      `${method.toLowerCase()}${path.replaceAll(/[/.]+(\w)|[{}]/g, (_, letter?: string) => letter?.toUpperCase() ?? '')}`.replace(
        /\W/g,
        '',
      ),
    summary,
    ...(open ? {} : { security: [{ keystone: [] }] }),
    ...(inPath.length + inQuery.length === 0 ? {} : { parameters: [...inPath, ...inQuery] }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: optionalBody !== true, content: { 'application/json': { schema: body } } } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, name]) => [status, responseOf(name, 'application/json')]),
      ),
      ...Object.fromEntries(
        (open ? [500] : [...PROBLEMS, ...problems]).map((status) => [
          status,
          responseOf('Problem', 'application/problem+json'),
        ]),
      ),
    },
  };
}

/** What any call may be answered with. */
const PROBLEMS = [400, 401, 403, 404, 413, 422, 429, 500, 502];

function responseOf(name: AnswerName, type: string): object {
  return { description: name, content: { [type]: { schema: { $ref: `#/components/schemas/${name}` } } } };
}
