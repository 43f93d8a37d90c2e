import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { startRun } from '#vault/runs.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, contentName, Folder } from '#vault/store/object-names.ts';
import { isWaitingNote, listNotes } from '../../../functions/sweeper/sweep-notes.ts';
import { sweepVault } from '../../../functions/sweeper/sweep-vault.ts';
import { verifyVault } from '../../../functions/verifier/verify-vault.ts';
import { DAMAGES, keysIn, spoil } from '../../damage.ts';
import { fresh, type Lab, NOW, newLab } from './lab.ts';
import { checkAllEvenExpired, strays } from './needed-objects.ts';

/** Two points, moves, and an orphan that waits for a run: notes of both kinds. */
async function notedLab(): Promise<Lab> {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 8);
  const later = fresh(1, 24).map((_, i) => (i % 4 === 0 ? undefined : 2000 + i));
  await lab.backUp(later, 8);
  await lab.expire(id);
  await lab.sweep();
  await lab.move();
  await lab.backUp(fresh(3, 8), 8);
  await startRun(await lab.open(), { group: 'other', disks: ['x'], host: 'h', process: '1@b' }, NOW);
  const orphan = randomBytes(100);
  await lab.memory.create(contentKey(Folder.pages, contentName([orphan])), [orphan]);
  await lab.sweep();
  return lab;
}

/** The same vault in a store of its own. */
async function copyOf(lab: Lab) {
  const memory = openMemoryStore();
  for (const key of await keysIn(lab.memory, '')) await memory.create(key, [await lab.memory.get(key)]);
  const open = () => lab.openOver(memory);
  return { ...lab, memory, open, sweep: async () => sweepVault(await open(), { now: NOW, graceHours: 0 }) };
}

describe.each([
  ['waiting orphans', true],
  ['pages', false],
])('A note about %s', (_, waiting) => {
  let shared: Lab;
  let note: string;
  beforeAll(async () => {
    shared = await notedLab();
    const notes = await listNotes(await shared.open());
    note = notes.findLast((key) => isWaitingNote(key) === waiting) ?? '';
    expect(note).not.toBe('');
  });

  test.each(DAMAGES)('that is $name costs no point anything, and nothing is left over in the end', async (damage) => {
    const lab = await copyOf(shared);
    await spoil(lab.memory, note, damage);
    const vault = await lab.open();
    const { store, keyring, journal } = vault;
    const points = [...journal.state().points.values()];
    // A note is no object that anything needs: there is nothing to be found and nothing to be repaired.
    const { findings } = await verifyVault({ store, keyring, journal, points, threads: undefined });
    expect(findings.filter(({ affects }) => affects.length > 0)).toEqual([]);
    const swept = await lab.sweep();
    expect(swept.problems).toEqual([]);
    // The orphan goes on waiting for the run, or begins to wait anew: a lost note removes nothing sooner.
    expect(swept.removed.pages.objects).toBe(0);
    expect(await checkAllEvenExpired(lab)).toBe(2);
    const [run = ''] = journal.state().openRuns.keys();
    await (await lab.open()).journal.append(() => ({
      type: 'run-abandoned',
      run,
      reason: 'test',
      at: NOW.toISOString(),
    }));
    await lab.sweep();
    expect(await checkAllEvenExpired(lab)).toBe(2);
    expect(await strays(await lab.open())).toEqual([]);
  });
});
