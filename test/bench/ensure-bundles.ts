import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildBundles } from '../../functions/host/build.ts';
import { BUNDLES, distFolder } from '../../functions/host/bundles.ts';
import { checkout } from '../setup/cache.ts';

/** Builds the programs that are measured, unless they are newer than their sources. */
export async function ensureBundles(say: (line: string) => void): Promise<void> {
  const files = Object.keys(BUNDLES).map((name) => join(distFolder(), `${name}.mjs`));
  const built = files.every((file) => existsSync(file)) ? Math.min(...files.map(changedAt)) : 0;
  if (built > newestSource()) return;
  say('Building the bundles...');
  await buildBundles();
}

function newestSource(): number {
  const sources = globSync(['functions/**/*.ts', 'host-exporter/**/*.ts', 'package-lock.json'], { cwd: checkout });
  return Math.max(...sources.map((source) => changedAt(join(checkout, source))));
}

function changedAt(file: string): number {
  return statSync(file).mtimeMs;
}
