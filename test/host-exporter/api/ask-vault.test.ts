import { expect, test } from 'vitest';
import type { Exchange, HttpRequest } from '#vault/store/swift/http-exchange.ts';
import { PATIENCE } from '#vault/store/swift/patience.ts';
import { openAsk } from '../../../host-exporter/api/ask-vault.ts';

const [A, B] = ['aa'.repeat(48), 'bb'.repeat(48)];
const PLACE = { catalog: 'https://ekko.example', run: '20261120-191503-abc123', server: 'web', token: 'secret' };
const QUESTION = {
  ...{ lineage: undefined, packs: [B], runs: [{ first: 7, count: 3 }] },
  ids: [1, 2, 3].map((n) => Buffer.alloc(32, n)),
};

/** Asks a catalog that gives these answers, the last one again and again; tells what it was asked. */
async function ask(...answers: { status: number; json?: unknown; headers?: Record<string, string> }[]) {
  const asked: HttpRequest[] = [];
  const exchange = (async (request: HttpRequest) => {
    asked.push(request);
    const { status, json, headers = {} } = answers[Math.min(asked.length, answers.length) - 1] ?? { status: 500 };
    return { status, headers, body: Buffer.from(json === undefined ? 'no JSON' : JSON.stringify(json)) };
  }) as Exchange;
  const peers = { exchange, patience: { ...PATIENCE, firstPauseMs: 1, longestPauseMs: 2 } };
  const answer = await openAsk(peers, PLACE)(2, QUESTION).catch((error: unknown) => error);
  return { asked, answer };
}

const good = { status: 200, json: { packs: [A, B], known: [2, 0, 1] } };

test('the catalog is asked with the caller’s token, and its answer is told for each segment', async () => {
  const { asked, answer } = await ask(good);
  expect(answer).toEqual([B, undefined, A]);
  expect(asked).toMatchObject([
    { url: `${PLACE.catalog}/v1/runs/${PLACE.run}/members/web/known`, headers: { 'x-auth-token': 'secret' } },
  ]);
  const body = JSON.parse(Buffer.concat(asked[0]?.body ?? []).toString());
  const ids = Buffer.concat(QUESTION.ids).toString('base64');
  expect(body).toEqual({ disk: 2, packs: [B], runs: [[7, 3]], ids });
});

test('a catalog that is busy for a moment is asked again, and one that stays so is not waited for', async () => {
  expect((await ask({ status: 429, headers: { 'retry-after': '1' } }, { status: 503 }, good)).answer).toHaveLength(3);
  const { asked, answer } = await ask({ status: 503 });
  expect([asked.length, answer]).toEqual([3, expect.objectContaining({ code: 'store-failed' })]);
});

test.each([
  ['a refusal', { status: 403, json: { code: 'forbidden' } }, 'cloud-failed'],
  ['no JSON', { status: 200 }, 'bad-format'],
  ['fewer answers than questions', { status: 200, json: { packs: [A], known: [1] } }, 'bad-format'],
  ['a pack that is none', { status: 200, json: { packs: ['../x'], known: [1, 0, 0] } }, 'bad-format'],
  ['an answer that is no number', { status: 200, json: { packs: [A], known: [1, 0, '1'] } }, 'bad-format'],
  ['more than was asked for', { status: 200, json: { packs: [A], known: [1, 0, 0], more: 1 } }, 'bad-format'],
])('%s is told as an error without the token, and at once', async (_, given, code) => {
  const { asked, answer } = await ask(given);
  expect(asked).toHaveLength(1);
  expect(answer).toMatchObject({ code });
  expect(String(answer)).not.toContain('secret');
});
