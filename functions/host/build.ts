import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { ADAPTERS, BUNDLES, distFolder, sourcePath } from './bundles.ts';

/** Bundles every entry point into dist/: the very files that run embedded, as queue workers and as Lambda functions. */
export async function buildBundles(): Promise<void> {
  const dist = distFolder();
  await mkdir(dist, { recursive: true });
  const fresh = await mkdtemp(join(dist, '.building-'));
  try {
    await bundleInto(fresh);
    // File by file, pieces first, so that whoever starts meanwhile finds each whole, old or new, and all that it asks for.
    const files = await readdir(fresh);
    const pieces = files.filter(isPiece);
    for (const file of new Set([...pieces, ...files])) await rename(join(fresh, file), join(dist, file));
    await removeOldPieces(dist, pieces);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** The program comes in pieces: a command loads what it needs. The others are one file each, to be carried elsewhere. */
const PROGRAM = 'ekko';
const isPiece = (file: string) => /^ekko-[0-9A-Z]{8}\.mjs(?:\.map)?$/.test(file);
const ONE_DAY = 86_400_000;

async function bundleInto(folder: string): Promise<void> {
  const { [PROGRAM]: program, ...functions } = BUNDLES;
  await build({ ...settingsFor(folder), entryPoints: entriesOf(functions) });
  await build({
    ...settingsFor(folder),
    entryPoints: entriesOf({ [PROGRAM]: program }),
    splitting: true,
    chunkNames: `${PROGRAM}-[hash]`,
  });
}

/** Pieces of earlier builds. A command that runs still may ask for one; a server is started anew after a build. */
async function removeOldPieces(dist: string, pieces: readonly string[]): Promise<void> {
  for (const file of (await readdir(dist)).filter((name) => isPiece(name) && !pieces.includes(name))) {
    const path = join(dist, file);
    // Another build may have removed it.
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < Date.now() - ONE_DAY) await rm(path, { force: true });
  }
}

function entriesOf(bundles: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(bundles).map(([name, source]) => [name, sourcePath(source)]));
}

function settingsFor(folder: string) {
  return {
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
  } satisfies BuildOptions;
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
