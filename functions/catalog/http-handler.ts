import { Router } from '@aws-lambda-powertools/event-handler/http';
import { EkkoError } from '#vault/errors.ts';
import { newLogger } from '../rim/observability.ts';
import { type Caller, checkRight } from './caller.ts';
import type { ApiRequest, Catalog, Route } from './catalog.ts';
import { type Answer, problemAnswer } from './problem.ts';
import { openRateLimit, type RateLimit } from './rate-limit.ts';
import { ROUTES } from './routes.ts';

const LARGEST_BODY = 512 * 1024;

/** What the router gives a route. */
interface RoutedRequest {
  readonly req: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly event: unknown;
}

/**
 * The catalog's API as a function over API Gateway events, of either version: behind API Gateway, or behind `openHttpServer`. Every
 * error is answered by problem+json (RFC 9457) with its code.
 */
export function catalogHandler(catalog: Catalog): Router['resolve'] {
  const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const app = new Router({ logger: quiet });
  const logger = newLogger('catalog');
  const limits = {
    callers: openRateLimit(catalog.limits.requestsPerMinute),
    refused: openRateLimit(catalog.limits.refusalsPerMinute),
  };
  for (const route of ROUTES) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1') as `/${string}`;
    app.route((request) => answerRoute({ catalog, limits, logger }, route, request), { method: route.method, path });
  }
  app.notFound(async () =>
    responseOf(problemAnswer(new EkkoError('not-found', 'There is no such path. See /v1/openapi.json.'))),
  );
  return (event, context, options) => app.resolve(event, context, options);
}

interface RateLimits {
  readonly callers: RateLimit;
  readonly refused: RateLimit;
}

interface Service {
  readonly catalog: Catalog;
  readonly limits: RateLimits;
  readonly logger: ReturnType<typeof newLogger>;
}

async function answerRoute(
  { catalog, limits, logger }: Service,
  route: Route,
  request: RoutedRequest,
): Promise<Response> {
  const began = performance.now();
  let caller: Caller | undefined;
  let answer: Answer;
  try {
    if (route.right !== 'anyone') {
      caller = await callerOf(catalog, limits, request);
      limits.callers.take(shareOf(caller, route));
      checkRight(caller, route.right);
      answer = await route.serve(catalog, await requestOf(request), caller);
    } else answer = await route.serve(catalog, await requestOf(request));
  } catch (error) {
    answer = problemAnswer(error);
    // Nothing of the caller's is in it: errors name no secret, and those that are not ours are told nowhere else.
    if (answer.status >= 500) logger.error('Call failed', error instanceof Error ? error : new Error(String(error)));
  }
  const { method, path } = route;
  const ms = Math.round(performance.now() - began);
  logger.info('Call', { method, path, status: answer.status, ms, project: caller?.project, user: caller?.user });
  return responseOf(answer);
}

/** Exporters tell of each part, and ask about each, with their tenant's token; that must not keep the tenant's own calls waiting. */
function shareOf({ project }: Caller, { path }: Route): string {
  const [call] = /(notices|known)$/.exec(path) ?? [];
  return call === undefined ? project : `${project} ${call}`;
}

/** Who sends refused tokens all the time is not asked about any more: Keystone has other work. */
async function callerOf(catalog: Catalog, { refused }: RateLimits, { req, event }: RoutedRequest): Promise<Caller> {
  const address = sourceOf(event);
  refused.check(address);
  const token = req.headers.get('x-auth-token');
  try {
    if (token === null) throw new EkkoError('token-refused', 'X-Auth-Token is missing: send a token of Keystone.');
    return await catalog.tokens.check(token);
  } catch (error) {
    if (problemAnswer(error).status === 401) refused.take(address);
    throw error;
  }
}

function sourceOf(event: unknown): string {
  const { requestContext } = event as {
    requestContext?: { identity?: { sourceIp?: unknown }; http?: { sourceIp?: unknown } };
  };
  return String(requestContext?.http?.sourceIp ?? requestContext?.identity?.sourceIp ?? '');
}

async function requestOf({ req, params }: RoutedRequest): Promise<ApiRequest> {
  return { params: decoded(params), query: new URL(req.url).searchParams, body: await bodyOf(req) };
}

function decoded(params: Readonly<Record<string, string>>): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch (cause) {
    throw new EkkoError('bad-input', 'The path is not encoded as URLs are.', { cause });
  }
}

async function bodyOf(req: Request): Promise<unknown> {
  if (req.body === null) return undefined;
  const text = await req.text();
  if (text.length > LARGEST_BODY) throw new EkkoError('too-large', `A body has at most ${LARGEST_BODY} characters.`);
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EkkoError('bad-input', 'The body is not JSON.', { cause });
  }
}

const JSON_TYPE = { 'content-type': 'application/json', 'cache-control': 'no-store' };

function responseOf({ status, body, headers }: Answer): Response {
  if (status === 204) return new Response(null, { status });
  return new Response(JSON.stringify(body), { status, headers: { ...JSON_TYPE, ...headers } });
}
