import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { openRegistry } from '../../../../functions/catalog/registry/registry.ts';
import { updateRecord } from '../../../../functions/catalog/registry/update-record.ts';
import { withDisk } from '../../../../functions/catalog/restores/restore-changes.ts';
import type { RestoredDisk, RestoreRecord } from '../../../../functions/catalog/restores/restore-record.ts';

const PATH = ['restores', 'a', 'r'];
const names = ['s/root', 's/data', 's/more'];

/** A registry over a store that looks whether an object is there when a create begins, as Swift does. */
async function registryOnSwift() {
  const memory = openMemoryStore();
  const registry = openRegistry({
    ...memory,
    async create(key, body) {
      const there = (await Array.fromAsync(memory.list(''))).some((object) => object.key === key);
      await turn();
      if (there) return 'exists';
      await memory.remove([key]);
      return memory.create(key, body);
    },
  });
  const disks = names.map((name) => ({ name, manifest: 'm', size: 1, state: 'waiting', attempts: 0, bytesDone: 0 }));
  const at = new Date().toISOString();
  await registry.write(PATH, { restore: 'r', vault: 'v', point: 'p', takenAt: at, startedAt: at, disks }, 0);
  return registry;
}

const note = (name: string, change: Partial<RestoredDisk>) => (record: RestoreRecord) =>
  withDisk(record, name, (disk) => ({ ...disk, ...change }));

test('of several changes of a record at once none is lost, even where two writers may both be told that they were first', async () => {
  const registry = await registryOnSwift();
  await Promise.all(
    names.flatMap((name) => [
      updateRecord(registry, 'restores', ['a', 'r'], note(name, { state: 'copying', image: `image of ${name}` })),
      updateRecord(registry, 'restores', ['a', 'r'], note(name, { bytesDone: 7 })),
    ]),
  );
  const { disks } = await updateRecord(registry, 'restores', ['a', 'r'], (record) => record);
  expect(disks.map(({ name, image, bytesDone }) => [name, image, bytesDone])).toEqual(
    names.map((name) => [name, `image of ${name}`, 7]),
  );
});

test('a change that throws holds up no other', async () => {
  const registry = await registryOnSwift();
  const refused = updateRecord(registry, 'restores', ['a', 'r'], () => {
    throw new Error('Lost.');
  });
  const next = updateRecord(registry, 'restores', ['a', 'r'], note('s/root', { bytesDone: 9 }));
  await expect(refused).rejects.toThrow('Lost.');
  expect((await next).disks[0]?.bytesDone).toBe(9);
});
