import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EkkoError } from '#vault/errors.ts';

/**
 * Modules that bring large SDKs along: every bundle that imports one (by `import()`) finds it beside itself, and loads it when it is
 * needed. Inside the bundles they would be parsed at each start of each thread.
 */
export const ADAPTERS = {
  's3-store': 'functions/vault/store/s3-store.ts',
  'swift-store': 'functions/vault/store/swift-store.ts',
  'mariadb-driver': 'functions/vault/sql/mariadb-driver.ts',
  'postgres-driver': 'functions/vault/sql/postgres-driver.ts',
} as const;

/** Every entry point that is bundled: name in dist/, and source. */
export const BUNDLES = {
  ...ADAPTERS,
  ekko: 'functions/command-line/main.ts',
  'segment-processor': 'functions/segment-processor/handler.ts',
  'point-committer': 'functions/point-committer/handler.ts',
  'point-committer-http': 'functions/point-committer/http-handler.ts',
  sweeper: 'functions/sweeper/handler.ts',
  retention: 'functions/retention/handler.ts',
  'function-worker': 'functions/host/function-worker.ts',
  'restore-worker': 'host-exporter/restore/restore-worker.ts',
  catalog: 'functions/catalog/handler.ts',
  replicator: 'functions/replicator/handler.ts',
  'read-worker': 'functions/restorer/read-worker.ts',
  verifier: 'functions/verifier/handler.ts',
  'verify-worker': 'functions/verifier/verify-worker.ts',
  'thaw-watchdog': 'host-exporter/qemu/thaw-watchdog-main.ts',
} as const;

export type BundleName = keyof typeof BUNDLES;

/** The checkout's root, found from this file, be it in the source tree or in a bundle in dist/. */
function root(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.endsWith('dist') ? resolve(here, '..') : resolve(here, '../..');
}

export function distFolder(): string {
  return join(root(), 'dist');
}

/** Absolute path of a source file of the checkout. */
export function sourcePath(source: string): string {
  return join(root(), source);
}

/** Absolute path of a built bundle. Throws `function-failed` when it has not been built. */
export function bundlePath(name: BundleName): string {
  const path = join(distFolder(), `${name}.mjs`);
  if (existsSync(path)) return path;
  throw new EkkoError('function-failed', `${path} has not been built. Run \`npm run build\`.`);
}
