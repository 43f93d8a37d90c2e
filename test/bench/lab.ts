import type { Ekko } from './ekko.ts';
import type { Image } from './input.ts';
import { type Measured, outputOf } from './process.ts';
import type { Peer, Repository } from './repository.ts';

/** What every measurement is made with. */
export interface Lab {
  /** For vaults, repositories and whatever else is made; empty at first. */
  readonly folder: string;
  readonly image: Image;
  readonly ekko: Ekko;
  readonly peers: readonly Peer[];
  readonly qemuImg: boolean;
  readonly qemu: boolean;
  readonly nbdcopy: boolean;
  /** How often whole backups and restores are measured. */
  readonly runs: number;
  /** How often what takes no more than seconds is measured. */
  readonly shortRuns: number;
  /** Tells the one who waits what happens now. */
  readonly say: (line: string) => void;
}

/** What one program took for the same thing, once a run, and what it stored. */
export interface Trial<R extends Repository = Repository> {
  readonly repository: R;
  readonly measured: Measured[];
  /** Bytes that the last one added. */
  storedBytes: number;
}

/** Makes what is measured begin with nothing waiting to be written. */
export async function settle(): Promise<void> {
  await outputOf('sync');
}

/** Says what is done, does it once nothing is left to be written, and says what it took. */
export async function measureOnce<M extends Measured>(lab: Lab, what: string, work: () => Promise<M>): Promise<M> {
  await settle();
  const measured = await work();
  const { seconds, cpuSeconds, peakBytes } = measured;
  const memory = `${Math.round(peakBytes / 2 ** 20)} MiB`;
  lab.say(`${what}: ${seconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s, peak ${memory}`);
  return measured;
}

/** Calls `make` the first time only. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
