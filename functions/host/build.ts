import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { ADAPTERS, BUNDLES, distFolder, sourcePath } from './bundles.ts';

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
    plugins: [adaptersBesides],
    // CommonJS dependencies inside an ES module still ask for `require`.
    banner: {
      js: "import { createRequire as ekkoRequire } from 'node:module'; const require = ekkoRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
}

/** Leaves `import('./s3-store.ts')` to be loaded from `./s3-store.mjs`. */
const adaptersBesides: Plugin = {
  name: 'adapters-besides',
  setup({ onResolve }) {
    onResolve({ filter: /\.ts$/ }, ({ kind, path, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined;
      const source = resolve(resolveDir, path);
      const name = Object.entries(ADAPTERS).find(([, adapter]) => sourcePath(adapter) === source)?.[0];
      return name === undefined ? undefined : { path: `./${name}.mjs`, external: true };
    });
  },
};

if (import.meta.main) await buildBundles();
