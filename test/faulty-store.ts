import { setTimeout } from 'node:timers/promises';
import { EkkoError } from '#vault/errors.ts';
import type { Verb } from '#vault/store/counted-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';

/**
 * What happens to a call:
 *
 * | mishap | the store is asked | the caller gets |
 * |---|---|---|
 * | `fail` | no | `store-failed` |
 * | `delay` | after `milliseconds` | the answer |
 * | `repeat` | twice | the second answer, as from a client that tried again |
 * | `lose-answer` | yes | `store-failed` |
 * | `disk-full` | no, nor for any later create until `freeSpace()` | `store-failed` |
 * | `crash-before` | no | a crash, as from every later call |
 * | `crash-midway` | for the first half of the keys of a remove | the same |
 * | `crash-after` | yes | the same |
 */
export type Mishap =
  | 'fail'
  | 'delay'
  | 'repeat'
  | 'lose-answer'
  | 'disk-full'
  | 'crash-before'
  | 'crash-midway'
  | 'crash-after';

export interface Fault {
  /** `write` is a create or a remove. */
  readonly on: Verb | 'write';
  /** Which of the calls that fit, from 1. */
  readonly call: number;
  readonly does: Mishap;
  /** Only calls whose (first) key or prefix begins so. */
  readonly under?: string;
  readonly milliseconds?: number;
}

export interface FaultyStore extends ObjectStore {
  /** How many calls there have been: count a clean pass, then crash at each in turn. */
  calls(on: Verb | 'write'): number;
  /** Whether a crash has happened: every call throws since. */
  crashed(): boolean;
  /** Ends `disk-full`. */
  freeSpace(): void;
}

/** Thrown for a crash. It is no `EkkoError`: nothing may handle it, as nothing survives a dead process. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** A store on which the given faults happen, each once. */
export function openFaultyStore(store: ObjectStore, faults: readonly Fault[]): FaultyStore {
  const calls: Record<Verb, number> = { create: 0, get: 0, list: 0, remove: 0 };
  const left = faults.map((fault) => ({ ...fault, left: fault.call }));
  let crashed = false;
  let full = false;

  /** Counts the call, and finds what is to happen to it. */
  function mishapOf(verb: Verb, key: string): Fault | undefined {
    if (crashed) throw new Crash('the process is dead');
    calls[verb]++;
    let happens: Fault | undefined;
    for (const fault of left) {
      if (fits(fault, verb, key) && --fault.left === 0) happens = fault;
    }
    if (happens?.does === 'disk-full') full = true;
    return happens;
  }

  async function perform<T>(verb: Verb, key: string, act: () => Promise<T>, half?: () => Promise<unknown>): Promise<T> {
    const fault = mishapOf(verb, key);
    if (full && verb === 'create') throw failure(verb, key, 'no space left on device (ENOSPC)');
    if (fault === undefined) return act();
    if (fault.does.startsWith('crash')) {
      crashed = true;
      if (fault.does === 'crash-midway') await half?.();
      if (fault.does === 'crash-after') await act();
      throw new Crash(`${fault.does} ${verb} ${key}`);
    }
    if (fault.does === 'delay') await setTimeout(fault.milliseconds ?? 10);
    if (fault.does === 'repeat' || fault.does === 'lose-answer') await act();
    if (fault.does === 'fail' || fault.does === 'lose-answer') throw failure(verb, key, `planted: ${fault.does}`);
    return act();
  }

  return {
    url: store.url,
    locking: store.locking,
    calls: (on) => (on === 'write' ? calls.create + calls.remove : calls[on]),
    crashed: () => crashed,
    freeSpace: () => {
      full = false;
    },
    create: (key, body, options) => perform('create', key, () => store.create(key, body, options)),
    get: (key, range) => perform('get', key, () => store.get(key, range)),
    async *list(prefix, options) {
      yield* await perform('list', prefix, async () => store.list(prefix, options));
    },
    remove: (keys) => {
      const half = () => store.remove(keys.slice(0, Math.floor(keys.length / 2)));
      return perform('remove', keys[0] ?? '', () => store.remove(keys), half);
    },
  };
}

function fits(fault: Fault, verb: Verb, key: string): boolean {
  const isWrite = verb === 'create' || verb === 'remove';
  return (fault.on === verb || (fault.on === 'write' && isWrite)) && key.startsWith(fault.under ?? '');
}

function failure(verb: Verb, key: string, reason: string): EkkoError {
  return new EkkoError('store-failed', `Cannot ${verb} ${key}: ${reason}. Nothing is to be done, this is a test.`);
}
