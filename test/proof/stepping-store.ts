import { EkkoError } from '#vault/errors.ts';
import type { Journal } from '#vault/journal/journal.ts';
import { clipRange } from '#vault/store/byte-range.ts';
import { checkKey, checkPrefix } from '#vault/store/check-key.ts';
import { Folder, journalKey } from '#vault/store/object-names.ts';
import { type ByteRange, NOTHING_KEPT, type ObjectStore, type StoredObject } from '#vault/store/object-store.ts';
import type { Content, Version } from './versions.ts';

/**
 * One thing that an actor does to the store. A listing is one step (a page of up to 1,000 keys), a removal one for each key. Reading
 * the journal from after a key on is one: entries never change or go, so whoever asks for them one by one has, in the end, what he
 * would have had by asking for all at the moment of his last question.
 */
export type Step =
  | { readonly verb: 'create'; readonly key: string; readonly content: Content }
  | { readonly verb: 'get'; readonly key: string }
  | { readonly verb: 'list'; readonly prefix: string; readonly after: string }
  | { readonly verb: 'read'; readonly prefix: 'journal/'; readonly after: string }
  | {
      readonly verb: 'remove';
      readonly key: string /** Whoever removes it has read in the journal that it is condemned. */;
      readonly condemned?: boolean;
    };

/** What the actor is told. `failed`: the store says that it failed, though the step was done. */
export type Answer =
  | { readonly kind: 'created' | 'exists' | 'removed' | 'missing' | 'failed' }
  | { readonly kind: 'found'; readonly content: Content }
  | { readonly kind: 'entries'; readonly contents: readonly Content[] }
  | { readonly kind: 'listed'; readonly objects: readonly StoredObject[] };

/** Does a step: the version after it, and what the actor is told. */
export function perform(version: Version, step: Step): { readonly version: Version; readonly answer: Answer } {
  switch (step.verb) {
    case 'create':
      if (version.get(step.key) !== undefined) return { version, answer: { kind: 'exists' } };
      return { version: version.with(step.key, step.content), answer: { kind: 'created' } };
    case 'get': {
      const content = version.get(step.key);
      return { version, answer: content === undefined ? { kind: 'missing' } : { kind: 'found', content } };
    }
    case 'list': {
      const keys = version.keys(step.prefix, step.after);
      const objects = keys.map((key) => ({ key, size: version.get(key)?.bytes.length ?? 0 }));
      return { version, answer: { kind: 'listed', objects } };
    }
    case 'read': {
      const contents = version.keys(step.prefix, step.after).map((key) => version.get(key));
      return { version, answer: { kind: 'entries', contents: contents.filter((content) => content !== undefined) } };
    }
    case 'remove':
      return { version: version.with(step.key, undefined), answer: { kind: 'removed' } };
  }
}

/** Puts a step to whoever decides when it is its turn. */
export type Ask = (step: Step) => Promise<Answer>;

/** A store each of whose steps waits for its turn. */
export function openSteppingStore(ask: Ask, contentOf: (bytes: Buffer) => Content): ObjectStore {
  const told = toldBy(ask);
  return {
    url: 'memory:',
    async create(key, body) {
      const answer = await told({ verb: 'create', key: checkKey(key), content: contentOf(Buffer.concat(body)) });
      return answer.kind === 'exists' ? 'exists' : 'created';
    },
    async get(key, range) {
      const answer = await told({ verb: 'get', key: checkKey(key) });
      if (answer.kind !== 'found') throw new EkkoError('object-missing', `${key} is missing.`);
      return copied(answer.content, range);
    },
    async *list(prefix, { after = '' } = {}) {
      checkPrefix(prefix);
      const answer = await told({ verb: 'list', prefix, after });
      if (answer.kind === 'listed') yield* answer.objects;
    },
    async remove(keys) {
      for (const key of keys.map(checkKey)) await told({ verb: 'remove', key });
      return NOTHING_KEPT;
    },
  };
}

/** A journal each of whose steps waits for its turn; its entries are objects of the store. */
export function openSteppingJournal(ask: Ask, contentOf: (bytes: Buffer) => Content): Journal {
  const told = toldBy(ask);
  return {
    url: 'memory:',
    async append(position, bytes) {
      const answer = await told({ verb: 'create', key: journalKey(position), content: contentOf(Buffer.from(bytes)) });
      return answer.kind === 'exists' ? 'exists' : 'created';
    },
    async *read(from) {
      const answer = await told({ verb: 'read', prefix: Folder.journal, after: journalKey(from - 1) });
      if (answer.kind !== 'entries') return;
      for (const [i, content] of answer.contents.entries()) yield { position: from + i, bytes: copied(content) };
    },
  };
}

function toldBy(ask: Ask): Ask {
  return async (step) => {
    const answer = await ask(step);
    if (answer.kind !== 'failed') return answer;
    throw new EkkoError('store-failed', `The answer to a ${step.verb} got lost.`);
  };
}

function copied({ bytes }: Content, range?: ByteRange): Buffer {
  const { start, end } = clipRange(range, bytes.length);
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
