import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { BUNDLES, distFolder, sourcePath } from './bundles.ts';

/** Bundles every entry point into dist/: the very files that run embedded, as queue workers and as Lambda functions. */
export async function buildBundles(): Promise<void> {
  const dist = distFolder();
  await mkdir(dist, { recursive: true });
  const fresh = await mkdtemp(join(dist, '.building-'));
  try {
    await bundleInto(fresh);
    // File by file, so that whoever runs meanwhile finds each whole, old or new.
    for (const file of await readdir(fresh)) await rename(join(fresh, file), join(dist, file));
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

function bundleInto(folder: string) {
  return build({
    entryPoints: Object.fromEntries(Object.entries(BUNDLES).map(([name, source]) => [name, sourcePath(source)])),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minifySyntax: true,
    sourcemap: 'linked',
    external: ['esbuild'],
    // CommonJS dependencies inside an ES module still ask for `require`.
    banner: {
      js: "import { createRequire as ekkoRequire } from 'node:module'; const require = ekkoRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
}

if (import.meta.main) await buildBundles();
