import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { isGone, thisProcess } from '../../../functions/command-line/this-process.ts';

const mine = thisProcess();
const signedBy = (pid: number | undefined) => ({ ...mine, process: mine.process.replace(/^\d+/, String(pid)) });

describe('a process that signed a run', () => {
  test('is not gone while it lives', () => {
    expect(isGone(mine)).toBe(false);
  });

  test('is gone when it has ended', async () => {
    const child = spawn('true');
    await once(child, 'exit');
    expect(isGone(signedBy(child.pid))).toBe(true);
  });

  test('is gone when another one has its id', () => {
    expect(isGone(signedBy(process.ppid))).toBe(true);
  });

  test('is gone after another boot', () => {
    expect(isGone({ ...mine, process: mine.process.replace(/@[^/]*/, '@another-boot') })).toBe(true);
  });

  test.each([
    ['another host', { ...signedBy(999_999_999), host: 'elsewhere' }],
    ['another container', { ...mine, process: signedBy(999_999_999).process.replace(/\/.*/, '/pid:[1]') }],
    ['an odd signature', { ...mine, process: 'x' }],
    ['no signature', { host: mine.host }],
  ])('may live when it is of %s', (_, signature) => expect(isGone(signature)).toBe(false));

  test('signs in so few characters that the journal takes it', () => {
    expect(mine.process.length).toBeLessThan(255);
  });
});
