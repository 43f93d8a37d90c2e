import { createHash, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { contentKey, contentName, Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { type CephSettings, newBucket, useCeph } from '../cloud/ceph.ts';
import type { Lab } from './lab.ts';
import { atLeast, type Row, shown } from './row.ts';
import { type BenchObject, compareWays, type Throughput, type Way } from './store-throughput.ts';
import { servicesOf } from './swift-store.ts';

const MIB = 2 ** 20;
const OBJECT = 16 * MIB;
const OBJECTS = 24;
const UNSIGNED = 'UNSIGNED-PAYLOAD';

/** The store on a real gateway beside a loop of the same requests, and beside one whose bodies nobody checks. */
export async function s3Rows(lab: Lab): Promise<Row[]> {
  lab.say('Starting Ceph...');
  process.env['EKKO_TEST_SERVICES'] = servicesOf(lab.folder);
  await mkdir(servicesOf(lab.folder), { recursive: true });
  const ceph = await useCeph();
  const bucket = await newBucket(ceph);
  const store = await openS3Store(bucket.url, bucket.environment);
  const ways = {
    store: wayOf(store),
    bare: bareLoop(ceph, bucket.name, true),
    plain: bareLoop(ceph, bucket.name, false),
  };
  const results = await compareWays(lab, ways, freshObjects(), (keys) => store.remove(keys));
  return (['put', 'get'] as const).flatMap((verb) => rowsOf(verb, results));
}

/** As packs: named by their content, in pieces. */
function freshObjects(): () => BenchObject[] {
  const pieces = Array.from({ length: 16 }, (_, at) => randomBytes(at === 0 ? MIB - 32 : MIB));
  return () =>
    Array.from({ length: OBJECTS }, () => {
      const body = [randomBytes(32), ...pieces];
      return { key: contentKey(Folder.packs, contentName(body)), body };
    });
}

const wayOf = (store: ObjectStore): Way => ({
  put: ({ key, body }) => store.create(key, body),
  get: (key) => store.get(key),
});

/** Signed requests, and nothing that a store has to see to. With `checked` the gateway compares bodies with their digests. */
function bareLoop(ceph: CephSettings, bucket: string, checked: boolean): Way {
  const agent = new Agent({ keepAlive: true });
  async function send(method: string, key: string, digest: string, body: readonly Uint8Array[]): Promise<Buffer> {
    const path = `/${bucket}/${key}`;
    const length = body.length > 0 ? { 'content-length': String(OBJECT), 'if-none-match': '*' } : {};
    const headers = { ...signed(ceph, method, path, digest), ...length };
    const outgoing = request(`${ceph.endpoint}${path}`, { method, agent, headers });
    for (const piece of body) outgoing.write(piece);
    outgoing.end();
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`The gateway answers ${answer.statusCode}.`);
    return receive(answer);
  }
  return {
    put: ({ key, body }) => send('PUT', key, checked ? (key.split('/').at(-1) ?? '') : UNSIGNED, body),
    get: (key) => send('GET', key, UNSIGNED, []),
  };
}

/** Signature version 4, in the headers. */
function signed({ endpoint, accessKey, secretKey }: CephSettings, method: string, path: string, digest: string) {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${time.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const { host } = new URL(endpoint);
  const names = 'host;x-amz-content-sha256;x-amz-date';
  const canonical = [
    method,
    path,
    '',
    `host:${host}`,
    `x-amz-content-sha256:${digest}`,
    `x-amz-date:${time}`,
    '',
    names,
    digest,
  ];
  const told = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical.join('\n')).digest('hex')].join(
    '\n',
  );
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const signature = hmac(scope.split('/').reduce(hmac, Buffer.from(`AWS4${secretKey}`)), told).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { authorization, 'x-amz-content-sha256': digest, 'x-amz-date': time };
}

async function receive(answer: IncomingMessage): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(Number(answer.headers['content-length']));
  let length = 0;
  answer.on('data', (piece: Buffer) => {
    length += piece.copy(whole, length);
  });
  await once(answer, 'end');
  return whole;
}

function rowsOf(verb: 'put' | 'get', { store, bare, plain }: Record<'store' | 'bare' | 'plain', Throughput>): Row[] {
  return [
    shown(`s3.${verb}.speed`, (OBJECTS * OBJECT) / store[verb], 'B/s'),
    atLeast(`s3.${verb}.of-bare-loop`, bare[verb] / store[verb], 'x', 0.9),
    shown(`s3.${verb}.of-bare-loop-without-digests`, plain[verb] / store[verb], 'x'),
  ];
}
