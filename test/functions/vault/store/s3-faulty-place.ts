import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { PATIENCE, type Patience } from '#vault/store/s3-retry.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { listAll } from '../../../conformance/object-store.ts';
import { failure } from '../../../fake-s3.ts';
import { type Answerer, type Fault, type FaultyHttp, type Match, openFaultyHttp } from '../../../faulty-http.ts';

export interface FaultyUpstream {
  /** Origin of a server, or one in memory. */
  readonly server: string | Answerer;
  readonly bucket: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** What each test works with: a front without faults before the upstream, and a folder of its own in the bucket. */
export interface FaultyPlace {
  readonly opened: FaultyUpstream;
  readonly front: FaultyHttp;
  readonly store: ObjectStore;
  /** How many requests of that kind have come. */
  seen(match: Match): number;
}

/** As in use, but for the pauses. */
export const HASTY: Patience = { ...PATIENCE, attempts: 4, firstPauseMs: 1 };

/** Registers what makes the place before each test, and clears the bucket at the end. */
export function useFaultyPlace(upstream: () => Promise<FaultyUpstream>): FaultyPlace {
  const place: Partial<Record<'opened', FaultyUpstream> & Record<'front', FaultyHttp> & Record<'store', ObjectStore>> =
    {};
  let tests = 0;
  beforeAll(async () => {
    place.opened = await upstream();
  });
  beforeEach(async () => {
    const { server, bucket, environment } = got(place.opened);
    place.front = await openFaultyHttp(server);
    place.store = await openS3Store(`s3://${bucket}/t${tests++}?endpoint=${place.front.url}`, environment, HASTY);
  });
  afterEach(() => got(place.front).close());
  afterAll(async () => {
    const { server, bucket, environment } = got(place.opened);
    const front = await openFaultyHttp(server);
    const whole = await openS3Store(`s3://${bucket}?endpoint=${front.url}`, environment);
    await whole.remove((await listAll(whole, '')).map(({ key }) => key));
    await front.close();
  });
  return {
    get opened() {
      return got(place.opened);
    },
    get front() {
      return got(place.front);
    },
    get store() {
      return got(place.store);
    },
    seen: (match) => got(place.front).requests.filter(match).length,
  };
}

function got<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('There is nothing before the first test begins.');
  return value;
}

/** An error as S3 sends it. */
export const says =
  (status: number, code: string): Fault =>
  () =>
    failure(status, code);

export const isPut: Match = ({ method }) => method === 'PUT';
export const isGet: Match = ({ method, path }) => method === 'GET' && !path.includes('list-type=2');
export const isList: Match = ({ path }) => path.includes('list-type=2');
export const isBulk: Match = ({ method }) => method === 'POST';
export const isDelete: Match = ({ method }) => method === 'DELETE';

export const BODY = [Buffer.from('some '), Buffer.from('bytes of an object')];
export const WHOLE = Buffer.concat(BODY);

export const fails = (pattern: RegExp) => ({ code: 'store-failed', message: expect.stringMatching(pattern) });
