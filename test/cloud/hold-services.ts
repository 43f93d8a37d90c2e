import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { servicesFolder } from './service.ts';

/** Does `work` while services of this test run stand still: they take connections and answer nothing, as machines that hang do. */
export async function withoutServices<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
  const groups = (await Promise.all(names.map(groupsOf))).flat();
  for (const group of groups) process.kill(-group, 'SIGSTOP');
  try {
    return await work();
  } finally {
    for (const group of groups) process.kill(-group, 'SIGCONT');
  }
}

async function groupsOf(name: string): Promise<number[]> {
  const folder = join(servicesFolder(), name);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.pid'));
  return Promise.all(files.map(async (file) => Number(await readFile(join(folder, file), 'utf8'))));
}
