import { execFile } from 'node:child_process';
import { EkkoError } from '#vault/errors.ts';

/** Where the libvirt of a hypervisor is. */
export interface LibvirtConnection {
  /** A libvirt connection URI, e.g. `qemu:///system`. */
  readonly uri: string;
  /** The `virsh` to call. */
  readonly program: string;
}

/** A `virsh` command and its arguments. */
export type Command = readonly string[];

/** libvirt, asked through its own command line program. */
export interface Virsh {
  readonly uri: string;
  /**
   * Runs one `virsh` command and gives what it printed. Throws `busy` when another operation has the domain, `qemu-failed` otherwise, with
   * libvirt's own words; see `isDomainGone`.
   */
  run(args: Command, limitMs?: number): Promise<string>;
  /**
   * Runs commands one right after the other in one process, each whatever came of the one before, and those of `tidying` right after them.
   * Throws as `run` does when one of `commands` has failed, with what all of them said; nobody is told what comes of `tidying`.
   */
  runAll(commands: readonly Command[], tidying?: readonly Command[]): Promise<void>;
}

/** libvirt waits 30 s for a domain that another operation has. */
const LIMIT_MS = 60_000;
/** The longest answer is the list of a guest's block nodes: some KiB a disk. */
const LARGEST_ANSWER = 64 * 1024 * 1024;

const END_OF_COMMANDS = 'ekko: the end of commands';

/** What a call printed. */
interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

export function openVirsh({ uri, program }: LibvirtConnection): Virsh {
  const env = { ...process.env, LC_ALL: 'C' };
  /** `command`: what is told of it when it fails. */
  const start = (args: readonly string[], command: Command, limitMs: number): Promise<Said> =>
    new Promise((resolve, reject) => {
      const options = { env, timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: LARGEST_ANSWER } as const;
      execFile(program, ['--quiet', '--connect', uri, ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else reject(failure(program, command, stderr || whyItEnded(error, limitMs)));
      });
    });
  return {
    uri,
    run: async (args, limitMs = LIMIT_MS) => (await start(args, args, limitMs)).stdout,
    runAll: async (commands, tidying = []) => {
      const last = commands.at(-1) ?? [];
      // The program's own success is that of its last command: `echo` has it succeed, and ends what is told of `commands`.
      const all = [...commands, ...tidying, ['echo', '']];
      const lines = all.toSpliced(commands.length, 0, ['echo', '--err', END_OF_COMMANDS]);
      const { stderr } = await start([lines.map(toLine).join('; ')], last, LIMIT_MS);
      const [said = ''] = stderr.split(`error: ${END_OF_COMMANDS}`);
      if (/^error: /m.test(said)) throw failure(program, last, said);
    },
  };
}

/** As a shell's words: `virsh` reads them so where it is given more than one command. */
function toLine(command: Command): string {
  return command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
}

function whyItEnded({ killed, message }: { readonly killed?: boolean; readonly message: string }, limitMs: number) {
  return killed ? `no answer within ${limitMs} ms` : message;
}

const GONE = /failed to get domain|Domain not found|domain is not running|Requested operation is not valid: domain/;
const TAKEN = /cannot acquire state change lock|already (?:an? )?active (?:block )?job|another .*job is active/i;

function failure(program: string, command: Command, complaint: string): EkkoError {
  const said = complaint
    .replace(/^error: /gm, '')
    .trim()
    .replaceAll('\n', '; ')
    .slice(0, 2000);
  const code = TAKEN.test(said) ? 'busy' : 'qemu-failed';
  // As `isQemuGone` knows it of a socket: there is no QEMU any more.
  const cause = Object.assign(new Error(said), GONE.test(said) ? { code: 'ENOENT' } : {});
  return new EkkoError(code, `${program} ${command.slice(0, 2).join(' ')}: ${said}`, { cause });
}
