import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type NbdClient, openNbd } from '../../../host-exporter/qemu/nbd-client.ts';

const SIZE = 1024 * 1024;
const CONTEXT = 'base:allocation';

let directory: string;
let server: Server;
let sockets: Socket[];
let client: NbdClient;
/** What the server sends for a request with this cookie. */
let answer: (cookie: bigint) => readonly Buffer[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ekko-'));
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), u16(3)]));
    let held = Buffer.alloc(0);
    let inOptions = true;
    let flagsSeen = false;
    socket.on('data', (bytes) => {
      held = Buffer.concat([held, bytes]);
      if (!flagsSeen && held.length >= 4) {
        held = held.subarray(4);
        flagsSeen = true;
      }
      while (inOptions && held.length >= 16 && held.length >= 16 + held.readUInt32BE(12)) {
        const option = held.readUInt32BE(8);
        held = held.subarray(16 + held.readUInt32BE(12));
        for (const part of optionReplies(option)) socket.write(part);
        if (option === 7) inOptions = false;
      }
      while (!inOptions && held.length >= 28) {
        const cookie = held.readBigUInt64BE(8);
        held = held.subarray(28);
        for (const part of answer(cookie)) socket.write(part);
      }
    });
  });
  const socketPath = join(directory, 's');
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  client = await openNbd({ socketPath, exportName: 'x', contexts: [CONTEXT] }, { stallMs: 300 });
});

afterEach(async () => {
  await client.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true, force: true });
});

function optionReplies(option: number): readonly Buffer[] {
  const reply = (type: number, body: Buffer) =>
    Buffer.concat([Buffer.from('0003e889045565a9', 'hex'), u32(option), u32(type), u32(body.length), body]);
  const ack = reply(1, Buffer.alloc(0));
  if (option === 10) return [reply(4, Buffer.concat([u32(9), Buffer.from(CONTEXT)])), ack];
  if (option === 7) return [reply(3, Buffer.concat([u16(0), u64(BigInt(SIZE)), u16(3)])), ack];
  return [ack];
}

const u16 = (value: number) => Buffer.from([value >>> 8, value & 255]);
const u32 = (value: number) => Buffer.from([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]);
const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};
const chunk = (cookie: bigint, flags: number, type: number, body: Buffer) =>
  Buffer.concat([u32(0x668e33ef), u16(flags), u16(type), u64(cookie), u32(body.length), body]);
const data = (cookie: bigint, flags: number, offset: number, bytes: Buffer) =>
  chunk(cookie, flags, 1, Buffer.concat([u64(BigInt(offset)), bytes]));
const hole = (cookie: bigint, flags: number, offset: number, length: number) =>
  chunk(cookie, flags, 2, Buffer.concat([u64(BigInt(offset)), u32(length)]));
const status = (cookie: bigint, context: number, ...extents: readonly (readonly [number, number])[]) =>
  chunk(
    cookie,
    1,
    5,
    Buffer.concat([u32(context), ...extents.flatMap(([length, flags]) => [u32(length), u32(flags)])]),
  );

/** The caller's buffer within guard bytes, which no answer may touch. */
async function readGuarded(): Promise<Buffer> {
  const around = Buffer.alloc(4096 * 3, 0x77);
  const into = around.subarray(4096, 8192);
  try {
    await client.read(8192, 4096, into);
    return into;
  } finally {
    expect(around.subarray(0, 4096).every((byte) => byte === 0x77)).toBe(true);
    expect(around.subarray(8192).every((byte) => byte === 0x77)).toBe(true);
  }
}

test('a reply may come in chunks of any order, holes among them', async () => {
  answer = (cookie) => [
    data(cookie, 0, 8192 + 3072, Buffer.alloc(1024, 3)),
    hole(cookie, 0, 8192 + 1024, 2048),
    data(cookie, 0, 8192, Buffer.alloc(1024, 1)),
    chunk(cookie, 1, 0, Buffer.alloc(0)),
  ];
  const into = await readGuarded();
  expect([into[0], into[1023], into[1024], into[3071], into[3072], into[4095]]).toEqual([1, 1, 0, 0, 3, 3]);
});

const bytes = Buffer.alloc(4096, 1);
test.each<[string, (cookie: bigint) => readonly Buffer[]]>([
  ['data before the request', (cookie) => [data(cookie, 1, 4096, bytes)]],
  ['data after the request', (cookie) => [data(cookie, 1, 12_288, bytes)]],
  ['more data than asked for', (cookie) => [data(cookie, 1, 8192, Buffer.alloc(4097, 1))]],
  ['data at an offset past 2^53', (cookie) => [chunk(cookie, 1, 1, Buffer.concat([u64(2n ** 63n), bytes]))]],
  ['less data than asked for', (cookie) => [data(cookie, 1, 8192, bytes.subarray(1))]],
  ['no data at all', (cookie) => [chunk(cookie, 1, 0, Buffer.alloc(0))]],
  ['the same data twice', (cookie) => [data(cookie, 0, 8192, bytes), data(cookie, 1, 8192, bytes)]],
  ['an empty data chunk', (cookie) => [data(cookie, 1, 8192, Buffer.alloc(0))]],
  ['a hole larger than the request', (cookie) => [hole(cookie, 1, 8192, 0xffffffff)]],
  ['a simple reply to a read', (cookie) => [Buffer.concat([u32(0x67446698), u32(0), u64(cookie), bytes])]],
  ['a cookie that nobody has', (cookie) => [data(cookie + 1n, 1, 8192, bytes)]],
  ['a cookie past 2^53', () => [data(2n ** 60n, 1, 8192, bytes)]],
  ['a status nobody asked for', (cookie) => [status(cookie, 9, [4096, 0])]],
  ['no reply magic', () => [Buffer.alloc(64, 0x42)]],
  ['an error chunk without end', (cookie) => [chunk(cookie, 1, 0x8001, Buffer.alloc(100_000))]],
  ['nothing', () => []],
])('%s: a clear error, and no byte outside the buffer', async (_, lie) => {
  answer = lie;
  await expect(readGuarded()).rejects.toMatchObject({ code: 'qemu-failed', message: expect.stringContaining('"x"') });
});

test('an error chunk carries its text, and the connection goes on', async () => {
  const words = Buffer.from('unable to check for holes');
  answer = (cookie) => [chunk(cookie, 1, 0x8001, Buffer.concat([u32(22), u16(words.length), words]))];
  await expect(readGuarded()).rejects.toThrow('EINVAL: unable to check for holes');
  answer = (cookie) => [data(cookie, 1, 8192, bytes)];
  expect((await readGuarded())[0]).toBe(1);
});

test.each<[string, (cookie: bigint) => readonly Buffer[]]>([
  ['an extent of no bytes', (cookie) => [status(cookie, 9, [0, 0])]],
  ['no extent', (cookie) => [status(cookie, 9)]],
  ['another context', (cookie) => [status(cookie, 8, [SIZE, 0])]],
  ['a status of half an extent', (cookie) => [chunk(cookie, 1, 5, Buffer.alloc(15))]],
  [
    'a status of gigabytes',
    (cookie) => [Buffer.concat([u32(0x668e33ef), u16(1), u16(5), u64(cookie), u32(0x7fffffff)])],
  ],
])('%s as block status is an error', async (_, lie) => {
  answer = lie;
  await expect(client.blockStatus(CONTEXT, 0, SIZE)).rejects.toMatchObject({ code: 'qemu-failed' });
});

test('a status that covers less is asked for again; one that covers more is cut', async () => {
  answer = (cookie) => [status(cookie, 9, [4096, 0], [4096, 0], [SIZE / 2, 3])];
  expect(await client.blockStatus(CONTEXT, 0, 8192 + 512)).toEqual([
    { length: 8192, flags: 0 },
    { length: 512, flags: 3 },
  ]);
  expect((await client.blockStatus(CONTEXT, 0, SIZE)).reduce((sum, { length }) => sum + length, 0)).toBe(SIZE);
});

test.each<[string, Buffer, RegExp]>([
  ['no NBD', Buffer.alloc(18, 0x41), /newstyle/],
  ['an old server', Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), u16(0)]), /fixed newstyle/],
  ['silence', Buffer.alloc(0), /no handshake within 200 ms/],
  [
    'an endless answer',
    Buffer.concat([
      Buffer.from('NBDMAGICIHAVEOPT'),
      u16(3),
      Buffer.from('0003e889045565a9', 'hex'),
      u32(8),
      u32(1),
      u32(0x7fffffff),
    ]),
    /2147483647 bytes/,
  ],
])('%s in the handshake is an error', async (_, greeting, message) => {
  const socketPath = join(directory, 'g');
  const other = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(greeting);
  });
  await new Promise<void>((resolve) => other.listen(socketPath, resolve));
  const opening = openNbd({ socketPath, exportName: 'x' }, { connectMs: 200 });
  await expect(opening).rejects.toMatchObject({ code: 'qemu-failed', message: expect.stringMatching(message) });
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => other.close(resolve));
});
