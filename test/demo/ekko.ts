import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkout } from '../setup/cache.ts';

/** What `ekko backup --json` tells, as far as it is shown. */
export interface BackupReport {
  readonly point: {
    readonly id: string;
    readonly disks: readonly {
      readonly name: string;
      readonly diskSize: number;
      readonly base?: string;
      readonly fullReason?: string;
      readonly consistency: string;
      readonly changedBytes: number;
      readonly newBytes: number;
      readonly storedBytes: number;
    }[];
  };
  readonly readBytes: number;
  readonly seconds: number;
}

const launcher = join(checkout, 'functions/command-line/bin/ekko');

/** Runs the real command, as a user would, and shows the line; resolves to what it printed. */
export async function ekko(keyFile: string, ...args: string[]): Promise<string> {
  console.log(`  $ ekko ${args.filter((arg) => arg !== '--json').join(' ')}`);
  const environment = { ...process.env, EKKO_KEY_FILE: keyFile };
  const { stdout } = await promisify(execFile)(launcher, args, { env: environment, maxBuffer: 1 << 26 });
  return stdout;
}

export async function backup(keyFile: string, vault: string, ...args: string[]): Promise<BackupReport> {
  return JSON.parse(await ekko(keyFile, 'backup', vault, ...args, '--json')) as BackupReport;
}
