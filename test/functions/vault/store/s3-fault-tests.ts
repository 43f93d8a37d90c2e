import { describe, expect, test } from 'vitest';
import { openS3Store } from '#vault/store/s3-store.ts';
import { always, answering, type Fault, first, half, late, silence } from '../../../faulty-http.ts';
import { describeListing, describeReading, describeRemoval } from './s3-answer-faults.ts';
import {
  BODY,
  type FaultyPlace,
  type FaultyUpstream,
  fails,
  HASTY,
  isGet,
  useFaultyPlace,
  WHOLE,
} from './s3-faulty-place.ts';
import { describeErrors, describeRequests } from './s3-request-faults.ts';

/** What the S3 store makes of a store, or a network, that misbehaves: the right result or a clear error, and nothing lost. */
export function describeS3Faults(name: string, upstream: () => Promise<FaultyUpstream>): void {
  describe(`S3 before ${name}`, () => {
    const place = useFaultyPlace(upstream);
    describeRequests(place);
    describeErrors(place);
    describe('reading', () => describeReading(place));
    describe('a listing', () => describeListing(place));
    describe('a removal', () => describeRemoval(place));
  });
}

/** What takes its time to test. */
export function describeS3Patience(name: string, upstream: () => Promise<FaultyUpstream>): void {
  describe(`S3 before ${name}, in time`, () => describeWaits(useFaultyPlace(upstream)));
}

function describeWaits(place: FaultyPlace): void {
  test('a store that asks for patience is given it', async () => {
    place.front.misbehave(first(1, answering(503, '', { 'retry-after': '1' })));
    const began = performance.now();
    expect(await place.store.create('a', BODY)).toBe('created');
    expect(performance.now() - began).toBeGreaterThan(990);
  });

  test.each<readonly [string, Fault]>([
    ['that says nothing', silence],
    ['that falls silent within the body', half('silence')],
  ])('a store %s is not waited for without end', async (_, fault) => {
    await place.store.create('a', BODY);
    const impatient = await openS3Store(place.store.url, place.opened.environment, { ...HASTY, silenceMs: 1000 });
    place.front.misbehave(first(1, fault, isGet));
    expect(await impatient.get('a')).toEqual(WHOLE);
    place.front.misbehave(always(fault, isGet));
    const hopeless = await openS3Store(place.store.url, place.opened.environment, {
      ...HASTY,
      attempts: 1,
      silenceMs: 200,
    });
    await expect(hopeless.get('a')).rejects.toMatchObject(fails(/TimeoutError\. The store cannot be reached/));
  });

  test('a slow store is waited for', async () => {
    place.front.misbehave(always(late(300)));
    expect(await place.store.create('a', BODY)).toBe('created');
    expect(await place.store.get('a')).toEqual(WHOLE);
  });
}
