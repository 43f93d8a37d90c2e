import { execFile } from 'node:child_process';
import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { PreparedTarget, TargetRequest } from './restore-target.ts';
import { startStorageDaemon } from './storage-daemon.ts';
import { refuseTarget, targetFailure } from './target-failure.ts';

const run = promisify(execFile);

/**
 * A qcow2 image of the disk's size, served by a qemu-storage-daemon of our own until it is finished. `finish` adds the persistent bitmap
 * `ekko-<point>`: a guest that runs on the image is backed up incrementally from that restore point on.
 * Throws `target-failed`: it exists (without `overwrite`), is not what the restore began (with `resume`), or QEMU refuses.
 */
export async function prepareQcow2(request: TargetRequest): Promise<PreparedTarget> {
  // An absolute path has no prefix that QEMU would take for a protocol.
  const path = resolve(request.path);
  if (request.mode === 'resume') await checkImage(path, request.size);
  else await createImage(path, request);
  const daemon = await startStorageDaemon(path);
  const { socketPath, exportName } = daemon;
  return {
    handle: { kind: 'nbd', path, socketPath, exportName, fresh: true },
    finish: async () => {
      await daemon.stop();
      await addBitmap(path, `ekko-${request.point}`);
    },
    abandon: () => daemon.stop().catch(() => undefined),
  };
}

/** What `qemu-img info` says of an image, as far as it is needed here. */
interface ImageInfo {
  readonly 'virtual-size'?: number;
  readonly format?: string;
  readonly 'format-specific'?: { readonly data?: { readonly bitmaps?: readonly { readonly name: string }[] } };
}

async function createImage(path: string, { size, mode }: TargetRequest): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined && mode === 'new') {
    throw refuseTarget(path, 'exists', 'Choose another path, or say that it may be overwritten.');
  }
  if (found !== undefined && !found.isFile()) throw refuseTarget(path, 'is not a file', 'Choose the path of a file.');
  await qemuImg(path, 'create', [
    'create',
    '-q',
    '-f',
    'qcow2',
    '-o',
    `cluster_size=${SEGMENT_SIZE}`,
    path,
    String(size),
  ]);
}

async function checkImage(path: string, size: number): Promise<void> {
  const info = await imageInfo(path);
  if (info.format === 'qcow2' && info['virtual-size'] === roundedUp(size)) return;
  throw refuseTarget(
    path,
    `is ${info.format} of ${info['virtual-size']} bytes, the disk has ${size}`,
    'It is not what the restore began: restore anew to another path, or overwrite it.',
  );
}

/** Images consist of sectors. */
function roundedUp(size: number): number {
  return Math.ceil(size / 512) * 512;
}

async function addBitmap(path: string, name: string): Promise<void> {
  const bitmaps = (await imageInfo(path))['format-specific']?.data?.bitmaps ?? [];
  // A restore that was cut off right here has added it already.
  if (bitmaps.some((bitmap) => bitmap.name === name)) return;
  await qemuImg(path, 'add a bitmap to', ['bitmap', '--add', '-g', String(SEGMENT_SIZE), '-f', 'qcow2', path, name]);
}

async function imageInfo(path: string): Promise<ImageInfo> {
  return JSON.parse(await qemuImg(path, 'inspect', ['info', '-U', '--output=json', '-f', 'qcow2', path])) as ImageInfo;
}

async function qemuImg(path: string, doing: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run('qemu-img', args);
    return stdout;
  } catch (cause) {
    const said = String((cause as { stderr?: unknown }).stderr ?? '').replace(/^qemu-img: /, '');
    throw targetFailure(path, doing, said || cause);
  }
}
