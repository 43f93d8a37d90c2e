import { describe, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { describeFindings } from '../../../../functions/command-line/doctor/finding.ts';
import { probeStore } from '../../../../functions/command-line/doctor/probe-store.ts';

const wrongIn = async (store: ObjectStore) =>
  (await probeStore(store)).filter(({ verdict }) => verdict === 'wrong').map(({ subject }) => subject);

describe('a probe', () => {
  test('finds nothing wrong with a store that keeps its contract, and leaves nothing behind', async () => {
    const store = openMemoryStore();
    await store.create('probe/dead/left-over', [Buffer.from('x')]);
    expect(await wrongIn(store)).toEqual([]);
    expect(await Array.fromAsync(store.list(''))).toEqual([]);
  });

  test('finds out that a store gives one name to two writers', async () => {
    const store = openMemoryStore();
    const create: ObjectStore['create'] = async (key, body) => {
      await store.create(key, body);
      return 'created';
    };
    expect(await wrongIn({ ...store, create })).toEqual(['8 writers', '32 writers']);
    const [race] = await probeStore({ ...store, create });
    expect(race?.advice).toMatch(/journal must lie in a SQL table.*--journal-file/);
  });

  test('only notes that where the journal lies in a SQL table; all else must hold there too', async () => {
    const store = openMemoryStore();
    const create: ObjectStore['create'] = async (key, body) => {
      await store.create(key, body);
      return 'created';
    };
    const findings = await probeStore({ ...store, create, remove: () => Promise.resolve([]) }, 'sql');
    expect(findings.map(({ verdict }) => verdict)).toEqual(['note', 'note', 'ok', 'ok', 'wrong']);
  });

  test('does not blame a store for an answer to the winner that was lost on the way', async () => {
    const store = openMemoryStore();
    const create: ObjectStore['create'] = async (key, body) => {
      await store.create(key, body);
      return 'exists';
    };
    expect(await wrongIn({ ...store, create })).toEqual([]);
  });

  test('finds out that the winner is not whose bytes are there', async () => {
    const store = openMemoryStore();
    const create: ObjectStore['create'] = async (key, body) => {
      const answer = await store.create(key, body);
      if (answer === 'exists' && key.includes('race')) {
        await store.remove([key]);
        await store.create(key, body);
      }
      return answer;
    };
    expect(await wrongIn({ ...store, create })).toEqual(['8 writers', '32 writers']);
  });

  test('finds out that a range is not what was asked for', async () => {
    const store = openMemoryStore();
    expect(await wrongIn({ ...store, get: (key) => store.get(key) })).toEqual(['read a range']);
  });

  test('finds out that nothing is removed', async () => {
    const store = openMemoryStore();
    expect(await wrongIn({ ...store, remove: () => Promise.resolve([]) })).toEqual(['remove']);
  });

  test('only notes a listing that lags, for nothing relies on it', async () => {
    const store = openMemoryStore();
    const findings = await probeStore({ ...store, list: async function* () {} });
    expect(findings.find(({ subject }) => subject === 'list')?.verdict).toBe('note');
  });

  test('tells the reason of a store that refuses', async () => {
    const refuse = () => Promise.reject(new EkkoError('store-failed', 'The file system is full.'));
    const findings = await probeStore({ ...openMemoryStore(), create: refuse });
    expect(findings[0]).toMatchObject({ verdict: 'wrong', found: 'The file system is full.' });
  });
});

test('findings are aligned, with what to do below them', () => {
  const findings = [
    { subject: 'key', verdict: 'ok', found: 'opens the vault' },
    { subject: 'journal', verdict: 'wrong', found: 'has a gap', advice: 'Put it back.' },
  ] as const;
  expect(describeFindings(findings)).toEqual([
    'ok    key      opens the vault',
    'BAD   journal  has a gap',
    '               Put it back.',
  ]);
});
