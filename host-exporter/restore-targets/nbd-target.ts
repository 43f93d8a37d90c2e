import { openNbd } from '../qemu/nbd-client.ts';
import type { RestoreTarget, TargetHandle } from './restore-target.ts';
import { targetFailure } from './target-failure.ts';

/** A writable NBD export, by a connection of its own. QEMU's exports flush what came by any connection. Throws `target-failed`. */
export async function openNbdTarget(handle: Extract<TargetHandle, { kind: 'nbd' }>): Promise<RestoreTarget> {
  const { path, fresh, socketPath, exportName } = handle;
  const attempt = async <T>(doing: string, step: () => Promise<T>) => {
    try {
      return await step();
    } catch (cause) {
      throw targetFailure(path, doing, cause);
    }
  };
  const client = await attempt('open', () => openNbd({ socketPath, exportName }));
  return {
    write: (offset, bytes) => attempt('write', () => client.write(offset, bytes)),
    zero: (offset, length) =>
      attempt('write zeros to', () => (fresh ? Promise.resolve() : client.writeZeroes(offset, length))),
    flush: () => attempt('flush', () => client.flush()),
    close: () => client.close(),
  };
}
