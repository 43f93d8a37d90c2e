import { randomUUID } from 'node:crypto';
import { EkkoError } from '#vault/errors.ts';
import type { Catalog } from '../catalog.ts';
import { type BackgroundRecord, type RecordOf, readRecord } from '../registry/records.ts';
import type { RecordPath } from '../registry/registry.ts';

/** What is under way in this process, by its record's path. */
export type BackgroundWork = Map<string, Promise<void>>;

export interface BackgroundPlace {
  readonly kind: 'upkeeps' | 'copies';
  readonly path: RecordPath;
  /** For people: `An upkeep of vault main`. */
  readonly what: string;
}

type Outcome<R> = Partial<Omit<R, keyof BackgroundRecord>> & { readonly problem?: string };

/** The process that does it says so in the record each so often. */
const BEAT_MS = 60_000;
/** After so long without a sign of life nobody is at work any more. */
const DEAD_MS = 300_000;

/**
 * Starts work that goes on after its request is answered, and gives back the record that says so. The work's outcome is written into
 * the record; `problem` in it, or an error, means that it failed. Throws `busy` while the same is under way, here or in another process.
 */
export async function startInBackground<K extends BackgroundPlace['kind']>(
  catalog: Catalog,
  { kind, path, what }: BackgroundPlace & { readonly kind: K },
  rest: Omit<RecordOf<K>, keyof BackgroundRecord>,
  prepare: () => Promise<(id: string) => Promise<Outcome<RecordOf<K>>>>,
): Promise<RecordOf<K>> {
  const name = `${kind} ${path.join(' ')}`;
  const busy = () => new EkkoError('busy', `${what} is under way. GET shows how it goes.`);
  if (catalog.background.has(name)) throw busy();
  catalog.background.set(name, Promise.resolve());
  try {
    const before = await readRecord(catalog.registry, kind, ...path);
    if (before !== undefined && aliveAt(before.value, catalog.now())) throw busy();
    const work = await prepare();
    const at = catalog.now().toISOString();
    const begun = { ...rest, id: randomUUID(), state: 'running', startedAt: at, seenAt: at } as RecordOf<K>;
    const last = before?.version ?? (await catalog.registry.lastVersion([kind, ...path]));
    if ((await catalog.registry.write([kind, ...path], begun, last)) === 'overtaken') throw busy();
    const done = carryOut(catalog, { kind, path }, begun, work).finally(() => catalog.background.delete(name));
    catalog.background.set(name, done);
    return begun;
  } catch (error) {
    catalog.background.delete(name);
    throw error;
  }
}

/** Resolves when nothing of this name is under way in this process any more. */
export async function endOf({ background }: Catalog, { kind, path }: Omit<BackgroundPlace, 'what'>): Promise<void> {
  await background.get(`${kind} ${path.join(' ')}`);
}

/** The record as callers see it: work whose process has died has failed. */
export function seenNow<R extends BackgroundRecord>(record: R, now: Date): R {
  if (record.state !== 'running' || aliveAt(record, now)) return record;
  return { ...record, state: 'failed', problem: 'The process that did it has died. Start it again.' };
}

function aliveAt({ state, startedAt, seenAt = startedAt }: BackgroundRecord, now: Date): boolean {
  return state === 'running' && now.getTime() - Date.parse(seenAt) < DEAD_MS;
}

async function carryOut<K extends BackgroundPlace['kind']>(
  catalog: Catalog,
  place: { readonly kind: K; readonly path: RecordPath },
  begun: RecordOf<K>,
  work: (id: string) => Promise<Outcome<RecordOf<K>>>,
): Promise<void> {
  let beating = Promise.resolve();
  const beat = setInterval(() => {
    const seen = { ...begun, seenAt: catalog.now().toISOString() };
    beating = beating.then(() => rewrite(catalog, place, seen)).catch(() => undefined);
  }, BEAT_MS).unref();
  const outcome = await work(begun.id).catch((error: unknown) => ({ problem: wordsOf(error) }));
  clearInterval(beat);
  // One that is under way would write over the end, where a store tells both that they were first.
  await beating;
  const state = 'problem' in outcome && outcome.problem !== undefined ? 'failed' : 'done';
  const ended = { ...begun, ...outcome, state, endedAt: catalog.now().toISOString() } as RecordOf<K>;
  // Should the registry be away, the record shows no life any more, and is taken for failed.
  await rewrite(catalog, place, ended).catch(() => undefined);
}

function wordsOf(error: unknown): string {
  return (error instanceof Error ? error.message : 'unknown').slice(0, 1000);
}

/** Unless another process has begun anew meanwhile. */
async function rewrite<K extends BackgroundPlace['kind']>(
  { registry }: Catalog,
  { kind, path }: { readonly kind: K; readonly path: RecordPath },
  record: RecordOf<K>,
): Promise<void> {
  for (;;) {
    const found = await readRecord(registry, kind, ...path);
    if (found === undefined || found.value.id !== record.id || found.value.state !== 'running') return;
    if ((await registry.write([kind, ...path], record, found.version)) === 'written') return;
  }
}
