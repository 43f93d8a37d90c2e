import type { TopologyServer } from '#vault/format/topology.ts';

/** The disk of a server that it boots from: the one of which that is known, its local one, or the first. */
export function bootDisk(names: readonly string[], server: TopologyServer | undefined): string {
  const known = server?.disks.find(({ bootIndex }) => bootIndex === 0)?.name;
  const found = names.find((name) => name === known) ?? names.find((name) => name.endsWith('/root'));
  return found ?? names[0] ?? '';
}

/** Names in the order of the server's devices, the one that it boots from first; those of which nothing is known as they were, behind them. */
export function inDeviceOrder(names: readonly string[], server: TopologyServer | undefined, boot: string): string[] {
  const order = (server?.disks ?? []).map(({ name }) => name);
  const placeOf = (name: string) => {
    if (name === boot) return -1;
    const at = order.indexOf(name);
    return at === -1 ? order.length : at;
  };
  return [...names].sort((a, b) => placeOf(a) - placeOf(b));
}
