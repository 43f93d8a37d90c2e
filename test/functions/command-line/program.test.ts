import { describe, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { Interrupted } from '../../../functions/command-line/interruption.ts';
import { runProgram } from '../../../functions/command-line/program.ts';
import { createRunner } from '../../../functions/command-line/run-command.ts';
import { captureStreams } from './captured-streams.ts';

const KEY_COMMANDS = ['new', 'list', 'add', 'remove', 'rotate', 'check'].map((name) => `key ${name}`);
const COMMANDS = [
  'init',
  'escrow',
  'key',
  'backup',
  'points',
  'show',
  'restore',
  'verify',
  'retention',
  'delete',
  'undelete',
  'hold',
  'release',
  'doctor',
  'extend-locks',
];

describe('arguments that cannot be meant', () => {
  test.each([
    [['ponits'], "ekko: Unknown command 'ponits' (Did you mean points?)\n"],
    [['points', 'v', '--jsn'], "ekko: Unknown option '--jsn' (Did you mean --json?)\n"],
    [['points'], "ekko: Missing required argument 'vault'\n"],
    [['points', 'a', 'b'], "ekko: Too many arguments for 'points'. Expected 1 argument but got 2.\n"],
    [['backup', 'v'], 'ekko: Name the disks: image files, block devices, or a running QEMU by --qmp SOCKET.\n'],
    [['backup', 'v', 'd', '--level', '4'], 'ekko: --level is a whole number of 1 to 3; found "4".\n'],
    [['backup', 'v', 'd', '--group', '..'], /^ekko: The group name ".." cannot be used: it means a folder/],
    [['backup', 'v', 'd', '--agent', 's'], /^ekko: --agent and --scratch are for a running QEMU/],
    [['backup', 'v', '--qmp', 's', '--quiesce', 'require'], /^ekko: --quiesce require needs the guest agent/],
    [['retention', 'v', '--every', '1h'], /^ekko: --every and --for make up a future for --simulate/],
    [['retention', 'v', '--simulate', '--apply'], /^ekko: --simulate changes nothing/],
    [['hold', 'v', 'latest'], "ekko: Required option '--reason <text>' not specified\n"],
    [['delete', 'v'], "ekko: Missing required argument 'point'\n"],
    [['init', 'v', '--lock', '2h'], 'ekko: --lock is a time of 1d to 3650d; found "2h".\n'],
    [['init', 'v', '--lock', '30d', '--lock-mode', 'strict'], /^ekko: --lock-mode is governance or compliance/],
    [['restore', 'v', 'latest', 't', '--format', 'vmdk'], 'ekko: --format is raw or qcow2; found "vmdk".\n'],
  ])('%j end with 2 and one line', async (args, line) => {
    const captured = captureStreams();
    expect(await runProgram(args, captured)).toBe(2);
    expect(captured.said.errors()).toEqual(typeof line === 'string' ? line : expect.stringMatching(line));
    expect(captured.said.output()).toBe('');
  });

  test('are one JSON document with --json', async () => {
    const captured = captureStreams();
    expect(await runProgram(['points', '--json', '--wrong'], captured)).toBe(2);
    expect(JSON.parse(captured.said.output())).toEqual({
      error: { code: 'bad-input', message: "Unknown option '--wrong'" },
    });
    expect(captured.said.errors()).toBe('');
  });
});

test.each([
  { args: ['points', 'v', '--journal-file', 'mariadb://u:secret@h/d'], environment: {} },
  { args: ['points', 'v'], environment: { EKKO_JOURNAL_FILE: 'mariadb://u:secret@h/d' } },
])('a URL in place of a journal file is refused without a word of it: %j', async ({ args, environment }) => {
  const captured = captureStreams();
  expect(await runProgram(args, { ...captured, environment })).toBe(2);
  expect(captured.said.errors()).toMatch(/^ekko: (?!.*secret).*Write the URL into a file of mode 0600/);
});

describe('help', () => {
  test('names every command and every exit code, and ends with 0', async () => {
    const captured = captureStreams();
    expect(await runProgram(['--help'], captured)).toBe(0);
    for (const name of COMMANDS) expect(captured.said.output()).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    expect(captured.said.output()).toContain('Exit codes:');
  });

  test.each([...COMMANDS, 'journal show', 'journal adopt', ...KEY_COMMANDS])(
    'of %s has an example, and its lines fit a terminal',
    async (name) => {
      const captured = captureStreams();
      expect(await runProgram([...name.split(' '), '--help'], captured)).toBe(0);
      const help = captured.said.output();
      expect(help).toMatch(new RegExp(`Example:\n {2}ekko ${name} `));
      expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThan(100);
    },
  );
});

describe('an error', () => {
  const run = async (error: unknown, options: { json?: boolean; verbose?: boolean } = {}) => {
    const captured = captureStreams();
    let code: number | undefined;
    await createRunner(captured, (ended) => {
      code = ended;
    })(options, () => Promise.reject(error));
    return { code, output: captured.said.output(), errors: captured.said.errors() };
  };

  test('of ours is one line without a stack', async () => {
    const said = await run(new EkkoError('busy', 'Somebody is there\u001b[2J.'));
    expect(said).toEqual({ code: 5, output: '', errors: 'ekko: Somebody is there\\x1b[2J.\n' });
  });

  test('is a document with --json', async () => {
    const { code, output, errors } = await run(new EkkoError('damaged', 'It is.'), { json: true });
    expect({ code, document: JSON.parse(output), errors }).toEqual({
      code: 1,
      document: { error: { code: 'damaged', message: 'It is.' } },
      errors: '',
    });
  });

  test('that is not ours tells how to report it, and shows its stack only when asked for', async () => {
    expect((await run(new TypeError('x is no function'))).errors).toBe(
      'ekko: x is no function\nThis is a fault of Ekko. Run it again with --verbose and report what it says.\n',
    );
    expect((await run(new TypeError('x is no function'), { verbose: true })).errors).toMatch(/\n {4}at /);
  });

  test('by interruption ends with 130', async () => {
    expect((await run(new Interrupted('SIGINT'))).code).toBe(130);
  });
});
