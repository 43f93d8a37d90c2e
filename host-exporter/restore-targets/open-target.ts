import { resolve } from 'node:path';
import { prepareBlockDevice } from './block-device.ts';
import { openFileTarget } from './file-target.ts';
import { openNbdTarget } from './nbd-target.ts';
import { prepareQcow2 } from './qcow2-image.ts';
import { prepareRawFile } from './raw-file.ts';
import type { PreparedTarget, RestoreTarget, TargetHandle, TargetRequest } from './restore-target.ts';

/** Makes a target ready, in the main thread. Throws `target-failed` before anything is lost. */
export function prepareTarget(request: TargetRequest): Promise<PreparedTarget> {
  const absolute = { ...request, path: resolve(request.path) };
  switch (request.kind) {
    case 'raw':
      return prepareRawFile(absolute);
    case 'device':
      return prepareBlockDevice(absolute);
    case 'qcow2':
      return prepareQcow2(absolute);
  }
}

/** Opens a prepared target, in any thread. Throws `target-failed`. */
export function openTarget(handle: TargetHandle): Promise<RestoreTarget> {
  return handle.kind === 'nbd' ? openNbdTarget(handle) : openFileTarget(handle);
}
