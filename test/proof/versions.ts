import { createHash } from 'node:crypto';

/** An object's bytes, kept once however many versions of the store hold them. */
export interface Content {
  readonly number: number;
  readonly bytes: Buffer;
  /** SHA-256, in hex. */
  readonly digest: string;
}

/**
 * What a store holds at one moment: immutable, and the same object whenever the same things are in it, however they came there.
 * That is what lets an exploration see that two interleavings have led to the same place.
 */
export interface Version {
  readonly number: number;
  get(key: string): Content | undefined;
  /** Keys below `prefix` and after `after`, ascending. */
  keys(prefix: string, after: string): readonly string[];
  /** The version that differs by this object alone; `undefined` where it is gone. */
  with(key: string, content: Content | undefined): Version;
}

export interface Versions {
  readonly initial: Version;
  /** How many different ones there have been. */
  count(): number;
  contentOf(bytes: Buffer): Content;
}

/** All versions that grow out of the objects given. */
export function newVersions(objects: ReadonlyMap<string, Buffer>): Versions {
  const contents = new Map<string, Content>();
  const facts = new Map<string, number>();
  const known = new Map<string, Version>();

  const contentOf = (bytes: Buffer): Content => {
    const digest = createHash('sha256').update(bytes).digest('hex');
    const content = contents.get(digest) ?? { number: contents.size, bytes, digest };
    contents.set(digest, content);
    return content;
  };
  const first = new Map([...objects].map(([key, bytes]) => [key, contentOf(bytes)]));
  const factOf = (key: string, content: Content | undefined): number => numberOf(facts, `${content?.number} ${key}`);

  /** `changes` are those to the first version; each is a fact, and the sorted facts name the version. */
  const versionOf = (changes: ReadonlyMap<string, Content | undefined>): Version => {
    const name = [...changes]
      .map(([key, content]) => factOf(key, content))
      .sort((a, b) => a - b)
      .join();
    const version = known.get(name) ?? newVersion(known.size, changes);
    known.set(name, version);
    return version;
  };

  const newVersion = (number: number, changes: ReadonlyMap<string, Content | undefined>): Version => {
    const next = new Map<number, Version>();
    return {
      number,
      get: (key) => (changes.has(key) ? changes.get(key) : first.get(key)),
      keys(prefix, after) {
        const added = [...changes.keys()].filter((key) => changes.get(key) !== undefined && !first.has(key));
        const kept = [...first.keys()].filter((key) => !changes.has(key) || changes.get(key) !== undefined);
        return [...kept, ...added].filter((key) => key.startsWith(prefix) && key > after).sort();
      },
      with(key, content) {
        const fact = factOf(key, content);
        const made = next.get(fact) ?? versionOf(changed(changes, first, key, content));
        next.set(fact, made);
        return made;
      },
    };
  };

  return { initial: versionOf(new Map()), count: () => known.size, contentOf };
}

function changed(
  changes: ReadonlyMap<string, Content | undefined>,
  first: ReadonlyMap<string, Content>,
  key: string,
  content: Content | undefined,
): ReadonlyMap<string, Content | undefined> {
  const result = new Map(changes);
  if (first.get(key) === content) result.delete(key);
  else result.set(key, content);
  return result;
}

/** Numbers things in the order in which they are first met. */
export function numberOf(numbers: Map<string, number>, thing: string): number {
  const number = numbers.get(thing) ?? numbers.size;
  numbers.set(thing, number);
  return number;
}
