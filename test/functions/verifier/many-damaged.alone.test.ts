import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeAll, expect, test } from 'vitest';
import { newIdentity } from '#vault/keys/identity.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder, nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { recordVerification } from '../../../functions/verifier/record-verification.ts';
import type { VerifyReport } from '../../../functions/verifier/report.ts';
import { verifyVault } from '../../../functions/verifier/verify-vault.ts';
import { keysIn } from '../../damage.ts';
import { writeHistory } from '../../synthetic-history.ts';

/** Packs of such a history are names only: every one is damaged, and points refer to them in some 800,000 places. */
const HISTORY = { segments: 200_000, points: 80, changed: 20_000 };
const MIB = 2 ** 20;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

function heapMib(): number {
  collect();
  return process.memoryUsage().heapUsed / MIB;
}

/** The store, and the most that the heap holds when a page is read, looked at now and then. */
function watched(store: ObjectStore) {
  let reads = 0;
  let peak = 0;
  const get: ObjectStore['get'] = (key, part) => {
    if (key.startsWith(Folder.pages) && reads++ % 200 === 0) peak = Math.max(peak, heapMib());
    return store.get(key, part);
  };
  return { store: { ...store, get }, peak: () => peak };
}

let vault: Vault;
let runs: readonly string[];
let report: VerifyReport;
let growth: number;

beforeAll(async () => {
  const { identity } = newIdentity();
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  vault = await createVault(openMemoryStore(), { recipients, noEscrow: true, now: new Date() });
  runs = await writeHistory(vault, HISTORY);
  const { keyring, journal } = vault;
  const { store, peak } = watched(vault.store);
  const before = heapMib();
  report = await verifyVault({
    store,
    keyring,
    journal,
    points: [...journal.state().points.values()],
    threads: undefined,
  });
  growth = Math.max(peak(), heapMib()) - before;
}, 60_000);

test('the memory of a verification does not grow with what is lost', () => {
  // 20; what all pages or all findings have lost would be 66 and more.
  expect(growth).toBeLessThan(40);
});

test('each damaged object is told with the first of what it costs, and all of that is added up', async () => {
  const packs = await keysIn(vault.store, Folder.packs);
  const { damaged, findings } = report;
  expect(damaged).toBe(packs.length);
  expect(findings.map(({ object }) => object)).toEqual(packs.toSorted());
  const listed = findings.reduce((sum, { affects }) => sum + affects.length, 0);
  expect(listed).toBeLessThanOrEqual(20_000);
  // Nothing of the disk can be restored, at no point.
  const lost = findings.reduce((sum, { costs }) => sum + costs.bytes, 0);
  expect(lost).toBe(HISTORY.points * HISTORY.segments * SEGMENT_SIZE);
  for (const { affects, costs } of findings) {
    expect(affects.length).toBeGreaterThan(0);
    expect(costs.ranges).toBeGreaterThanOrEqual(costs.disks);
    expect(costs.disks).toBe(costs.points);
  }
});

test('advice names a few of the points, and says how many more there are', () => {
  const [all] = report.findings.filter(({ costs }) => costs.points === HISTORY.points);
  expect(all?.affects[0]).toMatchObject({ point: runs[0], disk: 'disk' });
  expect(all?.advice).toMatch(/restore \S+, .* and \d+ more with best effort/);
  expect(all?.advice.length).toBeLessThan(600);
});

test('the journal is told of every one', async () => {
  const shards = Array.from({ length: 256 }, (_, shard) => shard);
  await recordVerification(vault, report, { shards, keyed: true }, new Date());
  const names = report.findings.map(({ object }) => nameOf(object));
  expect([...vault.journal.state().damaged].sort()).toEqual(names.sort());
});
