import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { EkkoError } from '#vault/errors.ts';
import { createRunBuilder } from '#vault/staging/segment-runs.ts';
import type { SegmentRun } from '#vault/words.ts';
import { asObject, countOf, memberOf } from '../qemu/json-value.ts';
import { createLineSplitter } from '../qemu/line-splitter.ts';
import { imageFailure } from './image-lock.ts';

/** One extent is a short line of JSON. */
const LONGEST_LINE = 4096;
/** What qemu-img says on standard error is kept up to this length. */
const LONGEST_COMPLAINT = 4096;

/**
 * The segments of a raw file that are not holes, by `qemu-img map`, read line by line: memory goes with the number of runs. Undefined where
 * there is no qemu-img. Throws `busy` when a QEMU has the file open for writing.
 */
export async function mapRawFile(path: string, size: number): Promise<readonly SegmentRun[] | undefined> {
  const child = spawn('qemu-img', ['map', '--output=json', '-f', 'raw', path], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  // A program that is not there is noticed before anybody awaits this.
  ended.catch(() => undefined);
  const builder = createRunBuilder();
  const split = createLineSplitter(LONGEST_LINE, (line) => addExtent(line, size, builder.add));
  let complaint = '';
  child.stderr.on('data', (bytes) => {
    complaint = (complaint + String(bytes)).slice(0, LONGEST_COMPLAINT);
  });
  try {
    for await (const bytes of child.stdout) split(bytes);
    const [code] = await ended;
    if (code === 0) return builder.runs;
  } catch (error) {
    child.kill();
    if (await isMissing(ended)) return undefined;
    throw new EkkoError('qemu-failed', `qemu-img map ${path} answered what is not a map: ${String(error)}`, {
      cause: error,
    });
  }
  throw imageFailure('qemu-img map', path, complaint);
}

function addExtent(line: Buffer, size: number, add: (offset: number, length: number) => void): void {
  const text = line
    .toString('utf8')
    .replace(/^\[/, '')
    .replace(/[,\]]+\s*$/, '')
    .trim();
  if (text === '') return;
  const extent = asObject(JSON.parse(text), 'an extent');
  const start = countOf(extent, 'start', 'an extent');
  // QEMU rounds a file's size up to whole sectors.
  const end = Math.min(size, start + countOf(extent, 'length', 'an extent'));
  if (memberOf(extent, 'zero') !== true) add(start, end - start);
}

/** True when the program could not be started because it is not there. */
async function isMissing(ended: Promise<unknown>): Promise<boolean> {
  try {
    await ended;
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT';
  }
}
