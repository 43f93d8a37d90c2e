/**
 * Builds the exporter as one executable that needs nothing but libc and virsh: a copy of this Node with the bundle in it
 * (nodejs.org/api/single-executable-applications.html). `npm run build:exporter [-- FILE]`.
 */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..');
export const EXECUTABLE = join(ROOT, 'node_modules', '.cache', 'ekko', 'dist', 'ekko-exporter');
const POSTJECT = join(ROOT, 'node_modules', 'postject', 'dist', 'cli.js');
/** By which Node finds that it carries something. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Builds `file`, which is replaced when all is done. */
export async function buildExporter(file = EXECUTABLE): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-build-'));
  try {
    const blob = await makeBlob(folder);
    await mkdir(dirname(file), { recursive: true });
    const draft = `${file}.${process.pid}.tmp`;
    await copyFile(process.execPath, draft);
    await chmod(draft, 0o755);
    // Called as a program: what it has to say of the sections of Node's executable is of no use.
    await run(process.execPath, [POSTJECT, draft, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE]);
    await rename(draft, file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Path of what Node is to carry. */
async function makeBlob(folder: string): Promise<string> {
  const [main, output, config] = ['exporter.cjs', 'exporter.blob', 'config.json'].map((name) => join(folder, name));
  if (!main || !output || !config) throw new Error('not reached');
  await bundle(main);
  const settings = { main, output, disableExperimentalSEAWarning: true, useCodeCache: true };
  await writeFile(config, JSON.stringify(settings));
  await run(process.execPath, ['--experimental-sea-config', config]);
  return output;
}

/** A single executable's main script is CommonJS. */
function bundle(outfile: string) {
  return build({
    entryPoints: [join(import.meta.dirname, 'api', 'main.ts')],
    outfile,
    ...{ bundle: true, platform: 'node', target: 'node24', format: 'cjs', minifySyntax: true, logLevel: 'warning' },
    define: { 'import.meta.url': '"file:///ekko-exporter"', 'import.meta.dirname': '"/"' },
  });
}

if (import.meta.main) {
  const file = process.argv[2] === undefined ? EXECUTABLE : resolve(process.argv[2]);
  await buildExporter(file);
  process.stdout.write(`${file}\n`);
}
