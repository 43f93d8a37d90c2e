import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/** A neighbour's share of a core that leaves ratios fair; with more the figures mean little. */
const MOST_LOAD_PER_CORE = 0.5;

/** What the figures were made on, and a warning where it is busy already. */
export function describeMachine(): string[] {
  const cores = availableParallelism();
  const [load = 0] = loadavg();
  const memory = Math.round(totalmem() / 2 ** 30);
  const machine = `${cores} cores (${cpus()[0]?.model ?? 'unknown'}), ${memory} GiB, load ${load.toFixed(2)}, Node ${process.version}`;
  if (load <= MOST_LOAD_PER_CORE * cores) return [machine];
  return [
    machine,
    `Warning: the machine is busy (load ${(load / cores).toFixed(2)} per core): the figures will not be good.`,
  ];
}
