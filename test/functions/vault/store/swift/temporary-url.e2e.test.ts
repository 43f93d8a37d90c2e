import { randomBytes } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { temporaryUpload } from '#vault/store/swift/temporary-url.ts';
import { openSwiftStore } from '#vault/store/swift-store.ts';
import { logIn } from '../../../../cloud/keystone.ts';
import { useSwift } from '../../../../cloud/swift.ts';

/** Whoever was given the right can stage parts of one run until it ends, and nothing else. */
const IN_AN_HOUR = new Date(Date.now() + 3_600_000);
const FOLDER = 'staging/20261120-191503-abc123/';
let environment: NodeJS.ProcessEnv;
const newUrl = () => `swift://ekko-${randomBytes(6).toString('hex')}/a%20b`;

beforeAll(async () => {
  const { keystone, storageUrl } = await useSwift();
  const { token } = await logIn(keystone, keystone.member);
  environment = { OS_AUTH_TYPE: 'token', OS_TOKEN: token, OS_STORAGE_URL: storageUrl };
}, 240_000);

test('parts of the run are taken without a token, once each', async () => {
  const url = newUrl();
  const { url: place, query } = await temporaryUpload(url, { folder: FOLDER, until: IN_AN_HOUR }, environment);
  const put = (body: string) =>
    fetch(`${place}${FOLDER}0000/00000000${query}`, { method: 'PUT', body, headers: { 'if-none-match': '*' } });
  expect((await put('sealed')).status).toBe(201);
  expect((await put('another')).status).toBe(412);
  const store = await openSwiftStore(url, environment);
  expect((await store.get(`${FOLDER}0000/00000000`)).toString()).toBe('sealed');
});

test('nothing else can be done with it: no other place, no reading, no listing, no deleting, no later hour', async () => {
  const url = newUrl();
  const upload = await temporaryUpload(url, { folder: FOLDER, until: IN_AN_HOUR }, environment);
  const key = `${FOLDER}0000/00000000`;
  const status = async (method: string, path: string, query = upload.query) =>
    (await fetch(`${upload.url}${path}${query}`, { method, ...(method === 'PUT' ? { body: 'x' } : {}) })).status;
  expect(await status('PUT', key)).toBe(201);
  expect(await status('PUT', 'staging/20261120-191503-abc124/0000/00000000')).toBe(401);
  expect(await status('PUT', 'packs/00/aa')).toBe(401);
  expect(await status('PUT', `${FOLDER}../../vault.json`)).toBe(401);
  expect(await status('GET', key)).toBe(401);
  expect(await status('DELETE', key)).toBe(401);
  expect(await status('GET', '')).toBe(401);
  expect(await status('PUT', key, upload.query.replace(/expires=\d+/, 'expires=4102444800'))).toBe(401);
  const ended = await temporaryUpload(url, { folder: FOLDER, until: new Date(Date.now() - 60_000) }, environment);
  expect(await status('PUT', key, ended.query)).toBe(401);
});

test('two that set up one container at once both get rights that hold', async () => {
  const url = newUrl();
  const uploads = await Promise.all(
    [0, 1, 2, 3].map(() => temporaryUpload(url, { folder: FOLDER, until: IN_AN_HOUR }, environment)),
  );
  const again = await temporaryUpload(url, { folder: FOLDER, until: IN_AN_HOUR }, environment);
  expect(again.query).toBe((await temporaryUpload(url, { folder: FOLDER, until: IN_AN_HOUR }, environment)).query);
  const lasting = uploads.filter(({ query }) => query === again.query);
  expect(lasting.length).toBeGreaterThan(0);
});
