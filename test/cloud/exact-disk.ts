import { expect } from 'vitest';
import { runTool } from '../guest/run-tool.ts';
import type { Tenant } from './tenant.ts';

/** A disk and the image that holds it; nobody writes to it meanwhile. */
export interface StillDisk {
  /** As in restore points: `<server>/<name>`. */
  readonly name: string;
  readonly image: string;
}

/** What the vault's newest point has of the disks is, byte for byte, what they hold, and as long. */
export async function expectExact(tenant: Tenant, vault: string, ...disks: readonly StillDisk[]): Promise<void> {
  for (const { name, image } of disks) {
    const restored = await tenant.restoredDisk(vault, name);
    await runTool('qemu-img', ['compare', '--force-share', '-f', 'raw', restored, image]);
    expect([name, await sizeOf(restored)]).toEqual([name, await sizeOf(image)]);
  }
}

async function sizeOf(image: string): Promise<number> {
  const told = await runTool('qemu-img', ['info', '--force-share', '--output=json', image]);
  return (JSON.parse(told) as { 'virtual-size': number })['virtual-size'];
}
