import { execFile } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { ImageLayer } from '../qemu/image-layers.ts';
import { asObjects, countOf, textOf } from '../qemu/json-value.ts';

const run = promisify(execFile);
const LARGEST_ANSWER = 16 * 1024 * 1024;

/** The chain of images of a qcow2 file that no QEMU writes, its own first. Empty where `qemu-img` cannot tell. */
export async function layersOfFile(path: string): Promise<readonly ImageLayer[]> {
  const args = ['info', '--output=json', '--backing-chain', '-f', 'qcow2', path];
  try {
    const { stdout } = await run('qemu-img', args, { maxBuffer: LARGEST_ANSWER, encoding: 'utf8' });
    return asObjects(JSON.parse(stdout), 'the chain').map((image) => ({
      file: resolve(dirname(path), textOf(image, 'filename')),
      format: textOf(image, 'format'),
      size: countOf(image, 'virtual-size', path),
    }));
  } catch {
    // What is wrong with the file is told when it is read.
    return [];
  }
}
