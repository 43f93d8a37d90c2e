import { expect, test } from 'vitest';
import { MOST_NAMES } from '#vault/journal/entries.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, contentName, Folder } from '#vault/store/object-names.ts';
import { createVault, type Vault } from '#vault/vault.ts';
import { NO_COSTS } from '../../../functions/verifier/costs-of-object.ts';
import { recordVerification } from '../../../functions/verifier/record-verification.ts';
import type { Finding, VerifyReport } from '../../../functions/verifier/report.ts';

const NOW = new Date('2026-11-20T19:15:03.000Z');
const named = (what: string) => contentName([Buffer.from(what)]);
const shardsOf = (...names: string[]) => names.map((name) => Number.parseInt(name.slice(0, 2), 16));

async function newVault(): Promise<Vault> {
  const { identity } = newIdentity();
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  return createVault(openMemoryStore(), { recipients, noEscrow: true, now: NOW });
}

function reportOf(...damaged: string[]): VerifyReport {
  const findings = damaged.map((name): Finding => {
    return {
      object: contentKey(Folder.packs, name),
      problem: 'damaged',
      message: '',
      affects: [],
      costs: NO_COSTS,
      advice: '',
    };
  });
  return {
    objects: 5,
    bytes: 500,
    segments: 7,
    points: 1,
    seconds: 1,
    damaged: findings.length,
    findings,
    emptied: [],
  };
}

const ALL = Array.from({ length: 256 }, (_, shard) => shard);

test('what is damaged is known to the journal, until a later look finds it whole', async () => {
  const vault = await newVault();
  const [a, b] = [named('a'), named('b')];
  await recordVerification(vault, reportOf(a, b), { shards: ALL, keyed: true }, NOW);
  expect([...vault.journal.state().damaged].sort()).toEqual([a, b].sort());
  const { repaired } = await recordVerification(vault, reportOf(b), { shards: ALL, keyed: true }, NOW);
  expect(repaired).toEqual([a]);
  expect([...vault.journal.state().damaged]).toEqual([b]);
  expect(vault.journal.state().verified.size).toBe(256);
});

test('what a look did not look at stays as damaged as it was', async () => {
  const vault = await newVault();
  const a = named('a');
  await recordVerification(vault, reportOf(a), { shards: ALL, keyed: true }, NOW);
  const others = ALL.filter((shard) => !shardsOf(a).includes(shard));
  expect((await recordVerification(vault, reportOf(), { shards: others, keyed: true }, NOW)).repaired).toEqual([]);
  expect(vault.journal.state().damaged.has(a)).toBe(true);
});

test('a damaged object that has been condemned meanwhile is of no interest', async () => {
  const vault = await newVault();
  const a = named('a');
  const nothing = { pages: [], manifests: [], points: [], moves: [] };
  await vault.journal.append(() => ({ type: 'condemned', packs: [a], ...nothing, at: NOW.toISOString() }));
  await recordVerification(vault, reportOf(a), { shards: ALL, keyed: true }, NOW);
  expect(vault.journal.state().damaged.size).toBe(0);
});

test('more damage than an entry holds is written in several, and nothing counts as looked at before the last', async () => {
  const vault = await newVault();
  const names = Array.from({ length: MOST_NAMES + 1 }, (_, i) => named(`${i}`));
  const before = vault.journal.state().position;
  await recordVerification(vault, reportOf(...names), { shards: [1], keyed: true }, NOW);
  const state = vault.journal.state();
  expect(state.position).toBe(before + 2);
  expect(state.damaged.size).toBe(names.length);
  expect(state.verified.get(1)?.position).toBe(before + 2);
});
