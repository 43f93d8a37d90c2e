import { writeFile } from 'node:fs/promises';
import { runTool } from './run-tool.ts';

// One moment for all files, so that the images come out alike bit for bit whenever they are made.
const moment = '1700000000';
const firstFreeInode = 11;

/** Gives all files below `folder` the same times. */
export async function levelTimes(folder: string): Promise<void> {
  await runTool('find', [folder, '-exec', 'touch', '-h', '-d', `@${moment}`, '{}', '+']);
}

/**
 * Makes an ext4 with the files of `content` (whose times it changes) in the sparse raw `file`. Without lazy initialisation: the
 * guest's kernel must not write by itself after the first mount.
 */
export async function makeFileSystem(file: string, content: string, mebibytes: number, uuid: string): Promise<void> {
  await levelTimes(content);
  const extended = `root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,hash_seed=${uuid}`;
  const env = { E2FSPROGS_FAKE_TIME: moment };
  await runTool('mkfs.ext4', ['-q', '-U', uuid, '-E', extended, '-d', content, file, `${mebibytes}M`], env);
  await levelChangeTimes(file, env);
}

/** mkfs.ext4 copies the times of inode changes, which no program can set on a mounted file system: debugfs sets them in the image. */
async function levelChangeTimes(file: string, env: Readonly<Record<string, string>>): Promise<void> {
  const used = await usedInodes(file);
  const inodes = [2, ...Array.from({ length: used - firstFreeInode + 1 }, (_, index) => firstFreeInode + index)];
  const commands = `${file}.commands`;
  await writeFile(commands, inodes.map((inode) => `set_inode_field <${inode}> ctime @${moment}\n`).join(''));
  await runTool('debugfs', ['-w', '-f', commands, file], env);
  await runTool('rm', [commands]);
}

async function usedInodes(file: string): Promise<number> {
  const header = await runTool('dumpe2fs', ['-h', file]);
  const count = (name: string): number => Number(new RegExp(`^${name}: +(\\d+)$`, 'm').exec(header)?.[1]);
  return count('Inode count') - count('Free inodes');
}
