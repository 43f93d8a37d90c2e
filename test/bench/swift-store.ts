import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openSwiftStore } from '#vault/store/swift-store.ts';
import { logIn } from '../cloud/keystone.ts';
import { type SwiftSettings, useSwift } from '../cloud/swift.ts';
import type { Lab } from './lab.ts';
import { atLeast, median, type Row, shown } from './row.ts';

const MIB = 2 ** 20;
const OBJECT = 16 * MIB;
const OBJECTS = 24;
const AT_ONCE = 8;

/** Seconds for all objects, once a run. */
interface Times {
  readonly put: number[];
  readonly get: number[];
}

/** One way of writing and reading objects of a real Swift. */
interface Way {
  put(name: string, body: readonly Uint8Array[]): Promise<unknown>;
  get(name: string): Promise<Buffer>;
}

/** The store beside a loop of the same requests, with the digests that make damage on the way be noticed, and without them. */
export async function swiftRows(lab: Lab): Promise<Row[]> {
  const settings = await startSwift(lab);
  const store = await openStoreOf(settings);
  const ways = { store: wayOf(store), bare: await bareLoop(settings, true), plain: await bareLoop(settings, false) };
  const body = Array.from({ length: 16 }, () => randomBytes(MIB));
  const times = { store: newTimes(), bare: newTimes(), plain: newTimes() };
  for (let run = 0; run <= lab.shortRuns; run++) {
    for (const name of ['store', 'bare', 'plain'] as const) {
      const measured = await measure(ways[name], `${name}-${run}`, body);
      await store.remove(names(`${name}-${run}`));
      lab.say(`swift, ${name}: put ${speed(measured.put)}, get ${speed(measured.get)}`);
      // The first is for warming up.
      if (run > 0) for (const verb of ['put', 'get'] as const) times[name][verb].push(measured[verb]);
    }
  }
  return (['put', 'get'] as const).flatMap((verb) => rowsOf(verb, times));
}

const newTimes = (): Times => ({ put: [], get: [] });
const names = (folder: string) => Array.from({ length: OBJECTS }, (_, at) => `${folder}/${at}`);
const speed = (seconds: number) => `${Math.round((OBJECTS * OBJECT) / MIB / seconds)} MiB/s`;

async function startSwift({ folder, say }: Lab): Promise<SwiftSettings> {
  say('Starting Swift...');
  process.env['EKKO_TEST_SERVICES'] = servicesOf(folder);
  await mkdir(servicesOf(folder));
  return useSwift();
}

/** Where the servers of a bench are. */
export function servicesOf(folder: string): string {
  return `${folder}/services`;
}

async function openStoreOf({ keystone: { authUrl, member } }: SwiftSettings): Promise<ObjectStore> {
  const user = { OS_USERNAME: member.user, OS_PASSWORD: member.password, OS_PROJECT_NAME: member.project };
  const store = await openSwiftStore('swift://bench', { OS_AUTH_URL: authUrl, ...user });
  await store.create('first', []);
  return store;
}

const wayOf = (store: ObjectStore): Way => ({
  put: (name, body) => store.create(name, body),
  get: (name) => store.get(name),
});

async function measure(way: Way, folder: string, body: readonly Uint8Array[]): Promise<{ put: number; get: number }> {
  const put = await secondsFor(folder, (name) => way.put(name, body));
  const get = await secondsFor(folder, async (name) => {
    if ((await way.get(name)).length !== OBJECT) throw new Error(`${name} came back with another length.`);
  });
  return { put, get };
}

async function secondsFor(folder: string, work: (name: string) => Promise<unknown>): Promise<number> {
  const left = names(folder);
  const began = performance.now();
  const lanes = Array.from({ length: AT_ONCE }, async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) await work(name);
  });
  await Promise.all(lanes);
  return (performance.now() - began) / 1000;
}

/** Requests with a token, and nothing that a store has to see to. */
async function bareLoop({ keystone, storageUrl }: SwiftSettings, digests: boolean): Promise<Way> {
  const { token } = await logIn(keystone, keystone.member);
  const agent = new Agent({ keepAlive: true });
  const md5 = (pieces: readonly Uint8Array[]) =>
    pieces.reduce((hash, piece) => hash.update(piece), createHash('md5')).digest('hex');
  async function send(method: string, name: string, headers: Record<string, string>, body: readonly Uint8Array[]) {
    const all = { 'x-auth-token': token, ...headers };
    const outgoing = request(`${storageUrl}/bench/${name}`, { method, agent, headers: all });
    for (const piece of body) outgoing.write(piece);
    outgoing.end();
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200 && answer.statusCode !== 201) throw new Error(`Swift answers ${answer.statusCode}.`);
    return receive(answer);
  }
  return {
    put: (name, body) => {
      const etag = digests ? { etag: md5(body) } : {};
      return send('PUT', name, { ...etag, 'if-none-match': '*', 'content-length': String(OBJECT) }, body);
    },
    get: async (name) => {
      const body = await send('GET', name, {}, []);
      if (digests) md5([body]);
      return body;
    },
  };
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

function rowsOf(verb: 'put' | 'get', times: Record<'store' | 'bare' | 'plain', Times>): Row[] {
  const [store, bare, plain] = [median(times.store[verb]), median(times.bare[verb]), median(times.plain[verb])];
  return [
    shown(`swift.${verb}.speed`, (OBJECTS * OBJECT) / store, 'B/s'),
    atLeast(`swift.${verb}.of-bare-loop`, bare / store, 'x', 0.9),
    shown(`swift.${verb}.of-bare-loop-without-digests`, plain / store, 'x'),
  ];
}
