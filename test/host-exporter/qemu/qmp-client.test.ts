import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectQmp, isQemuGone, type QmpClient } from '../../../host-exporter/qemu/qmp-client.ts';

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

let directory: string;
let path: string;
let server: Server;
let sockets: Socket[];
/** What the fake monitor says to a command; a string goes out as it is. */
let reply: (command: string, id: number) => string;
const clients: QmpClient[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ekko-'));
  path = join(directory, 'qmp');
  sockets = [];
  reply = (_, id) => `{"return": {}, "id": ${id}}\r\n`;
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    // QEMU serves one client at a time; the others wait without a word.
    if (sockets.filter((one) => !one.destroyed).length > 1) return;
    socket.write(GREETING);
    socket.on('data', (bytes) => {
      for (const line of String(bytes).trim().split('\n')) {
        const { execute, id } = JSON.parse(line);
        if (!socket.destroyed)
          socket.write(execute === 'qmp_capabilities' ? `{"return":{},"id":${id}}\n` : reply(execute, id));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true, force: true });
});

async function connected(commandMs = 10_000): Promise<QmpClient> {
  const client = await connectQmp(path, { greetingMs: 10_000, commandMs });
  clients.push(client);
  return client;
}

test('commands are answered by id, whatever the order and the pieces they come in', async () => {
  const client = await connected();
  const held: string[] = [];
  reply = (command, id) => {
    held.unshift(`{"return": "${command}", "id": ${id}}\r\n`);
    return held.length === 2 ? held.join('') : '';
  };
  expect(await Promise.all([client.execute('one'), client.execute('two')])).toEqual(['one', 'two']);
  reply = (_, id) => {
    setTimeout(() => sockets[0]?.write(`eturn": 7, "id": ${id}}\n`), 5);
    return '{"r';
  };
  expect(await client.execute('split')).toBe(7);
});

test('a refusal carries the command and what QEMU said', async () => {
  const client = await connected();
  reply = (_, id) => `{"id": ${id}, "error": {"class": "GenericError", "desc": "Node 'x' is busy"}}\n`;
  const refusal = { code: 'qemu-failed', message: expect.stringMatching(/blockdev-del: Node 'x' is busy/) };
  await expect(client.execute('blockdev-del')).rejects.toMatchObject(refusal);
});

test('a monitor that another client holds is busy, and the message says what to do', async () => {
  await connected();
  const second = connectQmp(path, { greetingMs: 50 });
  await expect(second).rejects.toMatchObject({ code: 'busy', message: expect.stringContaining(path) });
});

test('an event is caught also when it comes before the answer', async () => {
  const client = await connected(500);
  const event = '{"event": "BLOCK_EXPORT_DELETED", "data": {"id": "a"}}\n';
  reply = (_, id) => `${event}{"return": {}, "id": ${id}}\n`;
  await client.executeUntil('block-export-del', { id: 'a' }, { event: 'BLOCK_EXPORT_DELETED', data: { id: 'a' } });
  const never = client.executeUntil('x', {}, { event: 'BLOCK_EXPORT_DELETED', data: { id: 'b' } });
  await expect(never).rejects.toThrow(/no BLOCK_EXPORT_DELETED/);
});

test('a command that is not answered ends by its limit; its late answer disturbs nobody', async () => {
  const client = await connected(100);
  let late = 0;
  reply = (_, id) => {
    late = id;
    return '';
  };
  await expect(client.execute('slow')).rejects.toThrow(/slow within 100 ms/);
  reply = (_, id) => `{"return": "late", "id": ${late}}\n{"return": "mine", "id": ${id}}\n`;
  expect(await client.execute('next')).toBe('mine');
});

test('a connection that ends rejects all that waits, and everything after', async () => {
  const client = await connected();
  reply = () => '';
  const waiting = [client.execute('a'), client.execute('b')];
  const event = client.executeUntil('c', {}, { event: 'E', data: {} });
  sockets[0]?.destroy();
  for (const one of [...waiting, event]) await expect(one).rejects.toMatchObject({ code: 'qemu-failed' });
  expect(client.closed).toBe(true);
  await expect(client.execute('d')).rejects.toMatchObject({ code: 'qemu-failed' });
});

test.each(['not json\n', '[1]\n', '{"event": "E", "data": 3}\n'])(
  '%j is no QMP and ends the connection',
  async (line) => {
    const client = await connected();
    reply = () => line;
    await expect(client.execute('a')).rejects.toMatchObject({
      code: 'qemu-failed',
      message: expect.stringContaining(path),
    });
  },
);

test('a socket without QEMU says so', async () => {
  const error = await connectQmp(join(directory, 'none')).catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code: 'qemu-failed' });
  expect(isQemuGone(error)).toBe(true);
  expect(isQemuGone(new Error('else'))).toBe(false);
});
