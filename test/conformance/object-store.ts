import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ListOptions, ObjectStore, StoredObject } from '#vault/store/object-store.ts';

const MIB = 1024 * 1024;
const MISSING = { code: 'object-missing' };
const BAD_INPUT = { code: 'bad-input' };

/** Gives each test a store, and keys of its own in it. */
interface Place {
  readonly store: ObjectStore;
  key(name: string): string;
}

export interface StoreTraits {
  /** `atomicCreate` false: of creates of one key at one moment several may say `created`. True is the rule. */
  readonly keeps?: { readonly atomicCreate: boolean };
  /** Objects in the longest listing: several pages of a store that has pages. */
  readonly listed?: number;
  /** Objects written and read side by side, and the bytes of each. */
  readonly sideBySide?: { readonly objects: number; readonly bytes: number };
  /** MiB of the largest object that is written; 16. */
  readonly largest?: number;
}

/**
 * What every object store must do. `open` is called once; the store need not be empty, all keys lie below a fresh folder,
 * which is removed at the end.
 */
export function describeObjectStore(name: string, open: () => Promise<ObjectStore>, traits: StoreTraits = {}): void {
  const {
    keeps = { atomicCreate: true },
    listed = 300,
    sideBySide = { objects: 8, bytes: MIB },
    largest = 16,
  } = traits;
  describe(`object store: ${name}`, () => {
    const base = `conformance/${randomBytes(8).toString('hex')}/`;
    let store: ObjectStore;
    let tests = 0;
    beforeAll(async () => {
      store = await open();
    });
    afterAll(async () => {
      await store.remove(await keysBelow(store, base));
    });
    const place = (): Place => {
      const folder = `${base}${tests++}/`;
      return { store, key: (key) => folder + key };
    };
    describeCreate(place);
    if (keeps.atomicCreate) describeRaces(place);
    else describeTies(place);
    describeSideBySide(place, sideBySide, largest);
    describeGet(place);
    describeList(place, listed);
    describeRemove(place);
    describeKeys(place);
  });
}

function describeCreate(place: () => Place): void {
  test('an object that was created is there with its bytes', async () => {
    const { store, key } = place();
    expect(await store.create(key('a'), [Buffer.from('one')])).toBe('created');
    expect(await store.get(key('a'))).toEqual(Buffer.from('one'));
  });

  test('creating a second time says that it exists, and changes nothing', async () => {
    const { store, key } = place();
    await store.create(key('a'), [Buffer.from('one')]);
    expect(await store.create(key('a'), [Buffer.from('another')])).toBe('exists');
    expect(await store.create(key('a'), [Buffer.from('another')], { durable: false })).toBe('exists');
    expect(await store.get(key('a'))).toEqual(Buffer.from('one'));
  });

  test('an object that need not be durable is there all the same', async () => {
    const { store, key } = place();
    expect(await store.create(key('a'), [Buffer.from('one')], { durable: false })).toBe('created');
    expect(await store.get(key('a'))).toEqual(Buffer.from('one'));
  });

  test('a body in pieces becomes one object, in order', async () => {
    const { store, key } = place();
    const pool = Buffer.from('..one..two..');
    const pieces = [pool.subarray(2, 5), new Uint8Array(0), new Uint8Array([9]), pool.subarray(7, 10)];
    await store.create(key('a'), pieces);
    expect(await store.get(key('a'))).toEqual(Buffer.from('one\x09two'));
  });

  test.each([
    ['no pieces', []],
    ['empty pieces', [Buffer.alloc(0), Buffer.alloc(0)]],
  ])('an object of %s is empty, but there', async (_, body) => {
    const { store, key } = place();
    expect(await store.create(key('a'), body)).toBe('created');
    expect(await store.get(key('a'))).toHaveLength(0);
    expect(await listAll(store, key(''))).toEqual([{ key: key('a'), size: 0 }]);
  });

  test('a body of thousands of pieces is written whole', async () => {
    const { store, key } = place();
    const whole = randomBytes(3 * MIB);
    const pieces = Array.from({ length: 3000 }, (_, at) =>
      whole.subarray(at * 1048, at === 2999 ? undefined : (at + 1) * 1048),
    );
    await store.create(key('a'), pieces);
    expect((await store.get(key('a'))).equals(whole)).toBe(true);
  });

  test('a store keeps its own copy of a body', async () => {
    const { store, key } = place();
    const body = Buffer.from('before');
    await store.create(key('a'), [body]);
    body.write('after!');
    expect(await store.get(key('a'))).toEqual(Buffer.from('before'));
  });
}

/** Every writer its own body, in two pieces; what they were told, and what is there. */
async function race({ store, key }: Place, writers: number) {
  const bodies = Array.from({ length: writers }, (_, writer) => Buffer.alloc(20_000, writer + 1));
  const outcomes = await Promise.all(
    bodies.map((body) => store.create(key('raced'), [body.subarray(0, 9), body.subarray(9)])),
  );
  const found = await store.get(key('raced'));
  const winners = bodies.filter((_, writer) => outcomes[writer] === 'created');
  return { bodies, outcomes, winners, found };
}

function describeRaces(place: () => Place): void {
  test.each([
    [2, 16],
    [8, 8],
    [32, 8],
  ])('of %i writers to one key exactly one creates, and its bytes are there whole', async (writers, rounds) => {
    const { store, key } = place();
    for (let round = 0; round < rounds; round++) {
      const { winners, found } = await race({ store, key: (name) => key(`${round}/${name}`) }, writers);
      expect(winners).toHaveLength(1);
      expect(winners[0]?.equals(found)).toBe(true);
    }
  });
}

function describeTies(place: () => Place): void {
  test('of 32 writers to one key at least one creates, and the bytes of one are there whole', async () => {
    const { bodies, winners, found } = await race(place(), 32);
    expect(winners.length).toBeGreaterThan(0);
    expect(bodies.some((body) => body.equals(found))).toBe(true);
  });
}

function describeSideBySide(
  place: () => Place,
  { objects, bytes }: { objects: number; bytes: number },
  largest: number,
): void {
  test('large objects written and read side by side keep their bytes', async () => {
    const { store, key } = place();
    const names = Array.from({ length: objects }, (_, at) => key(String(at).padStart(4, '0')));
    const bodyOf = (at: number) => Buffer.alloc(bytes, `${at},`);
    await Promise.all(
      names.map(async (name, at) => {
        const body = bodyOf(at);
        const half = Math.floor(bytes / 2);
        expect(await store.create(name, [body.subarray(0, half), body.subarray(half)])).toBe('created');
      }),
    );
    const same = await Promise.all(names.map(async (name, at) => (await store.get(name)).equals(bodyOf(at))));
    expect(same).not.toContain(false);
    expect(await listAll(store, key(''))).toEqual(names.map((name) => ({ key: name, size: bytes })));
  });

  test('readers and listers never see an object half written', async () => {
    const { store, key } = place();
    const whole = randomBytes(largest * MIB);
    const pieces = Array.from({ length: largest }, (_, at) => whole.subarray(at * MIB, (at + 1) * MIB));
    let writing = true;
    const writer = store.create(key('a'), pieces, { durable: false }).finally(() => {
      writing = false;
    });
    let looks = 0;
    while (writing) {
      const found = await listAll(store, key(''));
      if (found.length > 0) expect(found).toEqual([{ key: key('a'), size: whole.length }]);
      const bytes = await store.get(key('a')).catch((error: unknown) => error);
      if (Buffer.isBuffer(bytes)) expect(bytes.equals(whole)).toBe(true);
      else expect(bytes).toMatchObject(MISSING);
      looks++;
    }
    expect(await writer).toBe('created');
    expect(looks).toBeGreaterThan(0);
    expect((await store.get(key('a'))).equals(whole)).toBe(true);
  });
}

function describeGet(place: () => Place): void {
  test('a missing object is missing, with and without a range', async () => {
    const { store, key } = place();
    await expect(store.get(key('a'))).rejects.toMatchObject(MISSING);
    await expect(store.get(key('a'), { start: 0, end: 1 })).rejects.toMatchObject(MISSING);
    await expect(store.get(key('deep/er/a'))).rejects.toMatchObject(MISSING);
  });

  test('the message for a missing object names its key', async () => {
    const { store, key } = place();
    await expect(store.get(key('a'))).rejects.toThrow(key('a'));
  });

  test('a folder is not an object', async () => {
    const { store, key } = place();
    await store.create(key('folder/a'), [Buffer.from('one')]);
    await expect(store.get(key('folder'))).rejects.toMatchObject(MISSING);
  });

  test.each([
    ['in the middle', 3, 6, 'defg'.slice(0, 3)],
    ['from the start', 0, 2, 'ab'],
    ['to the end', 7, 10, 'hij'],
    ['over the end', 8, 100, 'ij'],
    ['from the end on', 10, 20, ''],
    ['beyond the end', 50, 60, ''],
    ['of no length', 4, 4, ''],
    ['of everything', 0, Number.MAX_SAFE_INTEGER, 'abcdefghij'],
  ])('a range %s gives just its bytes', async (_, start, end, expected) => {
    const { store, key } = place();
    await store.create(key('a'), [Buffer.from('abcdefghij')]);
    const bytes = await store.get(key('a'), { start, end });
    expect(bytes).toEqual(Buffer.from(expected));
    expect(Buffer.isBuffer(bytes)).toBe(true);
  });

  test.each([
    [-1, 4],
    [5, 4],
    [0.5, 4],
    [0, Number.NaN],
    [0, Number.POSITIVE_INFINITY],
  ])('the range [%d, %d) is refused', async (start, end) => {
    const { store, key } = place();
    await store.create(key('a'), [Buffer.from('abcdefghij')]);
    await expect(store.get(key('a'), { start, end })).rejects.toMatchObject(BAD_INPUT);
  });

  test('what a reader does to its bytes stays with the reader', async () => {
    const { store, key } = place();
    await store.create(key('a'), [Buffer.from('one')]);
    (await store.get(key('a'))).fill(0);
    (await store.get(key('a'), { start: 1, end: 2 })).fill(0);
    expect(await store.get(key('a'))).toEqual(Buffer.from('one'));
  });
}

function describeList(place: () => Place, listed: number): void {
  /** In the order that a listing must have: `-` and `.` sort before `/`, digits and letters after it. */
  const NAMES = ['a-b', 'a.b', 'a/b', 'a/b.c', 'a/c/d/e/f/g', 'a0', 'aa/a', 'b', 'b_', 'ba'];

  async function filled(): Promise<Place & { keys: string[] }> {
    const { store, key } = place();
    for (const name of NAMES.toReversed())
      await store.create(key(`in/${name}`), [Buffer.from(name)], { durable: false });
    await store.create(key('inn'), [Buffer.from('x')], { durable: false });
    await store.create(key('im'), [Buffer.from('x')], { durable: false });
    return { store, key, keys: NAMES.map((name) => key(`in/${name}`)) };
  }

  test('a listing is ascending bytewise over all folders, with sizes, and keeps to its prefix', async () => {
    const { store, key, keys } = await filled();
    const expected = keys.map((each, at) => ({ key: each, size: NAMES[at]?.length ?? 0 }));
    expect(await listAll(store, key('in/'))).toEqual(expected);
  });

  test('a listing goes on after any key, whether it is there or not', async () => {
    const { store, key, keys } = await filled();
    for (const after of [
      ...keys,
      key('in/'),
      key('in/a'),
      key('in/a/'),
      key('in/a/c/x'),
      key('in/a/zz'),
      key('in/zz'),
      key('z'),
    ]) {
      const found = (await listAll(store, key('in/'), { after })).map((each) => each.key);
      expect(found).toEqual(keys.filter((each) => each > after));
    }
  });

  test('a listing that is given up early ends', async () => {
    const { store, key, keys } = await filled();
    for await (const found of store.list(key('in/'))) {
      expect(found.key).toBe(keys[0]);
      break;
    }
  });

  test('a missing folder has no keys', async () => {
    const { store, key } = place();
    expect(await keysBelow(store, key('none/'))).toEqual([]);
    await store.create(key('a'), [Buffer.from('one')]);
    expect(await keysBelow(store, key('a/'))).toEqual([]);
  });

  test('every one of many objects is listed once, in order, and all can be removed at once', async () => {
    const { store, key } = place();
    const names = Array.from({ length: listed }, (_, at) => key(`${at % 7}/${String(at).padStart(5, '0')}`)).sort();
    const lanes = Array.from({ length: 32 }, (_, lane) => names.filter((_, at) => at % 32 === lane));
    await Promise.all(
      lanes.map(async (lane) => {
        for (const name of lane) await store.create(name, [Buffer.from('x')], { durable: false });
      }),
    );
    expect(await keysBelow(store, key(''))).toEqual(names);
    const middle = names[Math.floor(listed / 2)] ?? '';
    const rest = (await listAll(store, key(''), { after: middle })).map((each) => each.key);
    expect(rest).toEqual(names.slice(Math.floor(listed / 2) + 1));
    await store.remove(names);
    expect(await keysBelow(store, key(''))).toEqual([]);
  });

  test('the prefix must be a folder', async () => {
    const { store, key } = place();
    await expect(keysBelow(store, key('a'))).rejects.toMatchObject(BAD_INPUT);
    await expect(keysBelow(store, '../')).rejects.toMatchObject(BAD_INPUT);
    await expect(keysBelow(store, '/')).rejects.toMatchObject(BAD_INPUT);
  });

  test('everything can be listed', async () => {
    const { store, key } = place();
    await store.create(key('a'), [Buffer.from('one')]);
    expect(await keysBelow(store, '')).toContain(key('a'));
  });

  test('removing what a listing gives, while it goes on, is safe', async () => {
    const { store, keys, key } = await filled();
    const seen: string[] = [];
    for await (const found of store.list(key('in/'))) {
      seen.push(found.key);
      await store.remove([found.key]);
    }
    expect(seen).toEqual(keys);
    expect(await keysBelow(store, key('in/'))).toEqual([]);
  });
}

function describeRemove(place: () => Place): void {
  test('removed objects are gone, others stay', async () => {
    const { store, key } = place();
    for (const name of ['a', 'b/c', 'b/d']) await store.create(key(name), [Buffer.from(name)]);
    await store.remove([key('a'), key('b/c')]);
    await expect(store.get(key('a'))).rejects.toMatchObject(MISSING);
    expect(await keysBelow(store, key(''))).toEqual([key('b/d')]);
  });

  test('removing what is not there is no error', async () => {
    const { store, key } = place();
    await store.create(key('a'), [Buffer.from('one')]);
    await store.remove([]);
    await store.remove([key('none'), key('no/ne'), key('a'), key('a')]);
    expect(await keysBelow(store, key(''))).toEqual([]);
  });

  test('removing a folder by its name removes nothing', async () => {
    const { store, key } = place();
    await store.create(key('folder/a'), [Buffer.from('one')]);
    await store.remove([key('folder')]);
    expect(await keysBelow(store, key(''))).toEqual([key('folder/a')]);
  });

  test('one bad key among good ones is refused before anything is removed', async () => {
    const { store, key } = place();
    await store.create(key('a'), [Buffer.from('one')]);
    await expect(store.remove([key('a'), '../a'])).rejects.toMatchObject(BAD_INPUT);
    expect(await keysBelow(store, key(''))).toEqual([key('a')]);
  });

  test('creates survive the removal of the last other object of their folder', async () => {
    const { store, key } = place();
    for (let round = 0; round < 30; round++) {
      await store.create(key('deep/er/old'), [Buffer.from('old')], { durable: false });
      const [, outcome] = await Promise.all([
        store.remove([key('deep/er/old')]),
        store.create(key(`deep/er/new${round}`), [Buffer.from('new')], { durable: round % 2 === 0 }),
      ]);
      expect(outcome).toBe('created');
      expect(await keysBelow(store, key('deep/'))).toEqual([key(`deep/er/new${round}`)]);
      await store.remove([key(`deep/er/new${round}`)]);
    }
  });
}

function describeKeys(place: () => Place): void {
  test.each([
    ['nothing', ''],
    ['the parent folder', '..'],
    ['a way out', 'a/../../b'],
    ['the folder itself', 'a/./b'],
    ['an absolute path', '/etc/passwd'],
    ['a folder', 'a/'],
    ['an empty part', 'a//b'],
    ['a newline', 'a\nb'],
    ['NUL', 'a\0b'],
    ['a blank', 'a b'],
    ['a backslash', 'a\\b'],
    ['upper case', 'A'],
    ['a percent sign', 'a%2f'],
    ['letters beyond ASCII', 'ä'],
    ['a hidden name', '.incoming/a'],
    ['10,000 characters', 'a'.repeat(10_000)],
    ['513 characters in short parts', `${'a/'.repeat(256)}a`],
    ['a part of 256 characters', `a/${'b'.repeat(256)}`],
  ])('a key that is %s is refused by every verb', async (_, key) => {
    const { store } = place();
    await expect(store.create(key, [Buffer.from('one')])).rejects.toMatchObject(BAD_INPUT);
    await expect(store.get(key)).rejects.toMatchObject(BAD_INPUT);
    await expect(store.remove([key])).rejects.toMatchObject(BAD_INPUT);
  });

  test('the longest keys work', async () => {
    const { store, key } = place();
    const part = `${'b'.repeat(150)}/`;
    const longest = key(part.repeat(3)).padEnd(512, 'c');
    await store.create(longest, [Buffer.from('one')]);
    expect(await store.get(longest)).toEqual(Buffer.from('one'));
    expect(await keysBelow(store, key(''))).toEqual([longest]);
  });

  test.each([
    '-a..b._/_0.9-z',
    '-',
    '--',
    '_',
    '0',
    'a.',
    'a..',
    'a-/b',
    'con',
    'x/index.html',
    'a/soap',
    'a/b/c/d/e/f',
  ])('the key %s works', async (name) => {
    const { store, key } = place();
    const odd = key(name);
    await store.create(odd, [Buffer.from('one')]);
    expect(await store.create(odd, [Buffer.from('two')])).toBe('exists');
    expect(await store.get(odd)).toEqual(Buffer.from('one'));
    expect(await keysBelow(store, key(''))).toEqual([odd]);
    await store.remove([odd]);
    expect(await keysBelow(store, key(''))).toEqual([]);
  });
}

async function keysBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await listAll(store, prefix)).map(({ key }) => key);
}

/** A whole listing. */
export async function listAll(store: ObjectStore, prefix: string, options?: ListOptions): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of store.list(prefix, options)) found.push(object);
  return found;
}
