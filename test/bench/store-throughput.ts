import type { Lab } from './lab.ts';
import { median } from './row.ts';

export interface BenchObject {
  readonly key: string;
  readonly body: readonly Uint8Array[];
}

/** One way of writing and reading objects of one store. */
export interface Way {
  put(object: BenchObject): Promise<unknown>;
  get(key: string): Promise<Buffer>;
}

/** Seconds for all objects of a run; the middle one of the runs. */
export interface Throughput {
  readonly put: number;
  readonly get: number;
}

const AT_ONCE = 8;

/** Each way in turn, once to warm up and then once a run, with fresh objects each time. They are removed afterwards. */
export async function compareWays<Name extends string>(
  lab: Lab,
  ways: Readonly<Record<Name, Way>>,
  objects: () => readonly BenchObject[],
  remove: (keys: readonly string[]) => Promise<unknown>,
): Promise<Record<Name, Throughput>> {
  const names = Object.keys(ways) as Name[];
  const times = new Map(names.map((name) => [name, { put: [] as number[], get: [] as number[] }]));
  for (let run = 0; run <= lab.shortRuns; run++) {
    for (const name of names) {
      const fresh = objects();
      const put = await secondsFor(fresh, (object) => ways[name].put(object));
      const get = await secondsFor(fresh, (object) => readBack(ways[name], object));
      await remove(fresh.map(({ key }) => key));
      lab.say(`${name}: put ${put.toFixed(2)} s, get ${get.toFixed(2)} s${run === 0 ? ' (to warm up)' : ''}`);
      if (run > 0) times.get(name)?.put.push(put);
      if (run > 0) times.get(name)?.get.push(get);
    }
  }
  const middle = (name: Name, verb: 'put' | 'get') => median(times.get(name)?.[verb] ?? []);
  const results = names.map((name) => [name, { put: middle(name, 'put'), get: middle(name, 'get') }]);
  return Object.fromEntries(results) as Record<Name, Throughput>;
}

async function readBack(way: Way, { key, body }: BenchObject): Promise<void> {
  const length = body.reduce((sum, piece) => sum + piece.length, 0);
  if ((await way.get(key)).length !== length) throw new Error(`${key} came back with another length.`);
}

async function secondsFor(objects: readonly BenchObject[], work: (object: BenchObject) => Promise<unknown>) {
  const left = [...objects];
  const began = performance.now();
  const lanes = Array.from({ length: AT_ONCE }, async () => {
    for (let object = left.shift(); object !== undefined; object = left.shift()) await work(object);
  });
  await Promise.all(lanes);
  return (performance.now() - began) / 1000;
}
