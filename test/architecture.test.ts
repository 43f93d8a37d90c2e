import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { BUNDLES } from '../functions/host/bundles.ts';

/**
 * Imports point inwards: words, errors ◀─ format ◀─ store, keys, journal ◀─ vault ◀─ functions, exporter ◀─ command line.
 * Each rule: files that begin with `from` may import only what begins with one of `may` (and packages in `packages`).
 */
const ROOT = join(import.meta.dirname, '..');
const VAULT = 'functions/vault/';
const FUNCTIONS = [
  'segment-processor',
  'point-committer',
  'verifier',
  'retention',
  'sweeper',
  'replicator',
  'restorer',
  'catalog',
];

const RULES: readonly { readonly from: string; readonly may: readonly string[] }[] = [
  { from: `${VAULT}errors.ts`, may: [] },
  { from: `${VAULT}words.ts`, may: [] },
  { from: `${VAULT}memory.ts`, may: [] },
  {
    from: `${VAULT}format/`,
    may: [
      'format/',
      'errors.ts',
      'words.ts',
      'memory.ts',
      'keys/',
      'store/object-names.ts',
      'journal/entries.ts',
      'journal/check-entry.ts',
    ].map((p) => VAULT + p),
  },
  { from: `${VAULT}sql/`, may: ['sql/', 'keys/private-file.ts', 'errors.ts'].map((p) => VAULT + p) },
  { from: `${VAULT}store/`, may: ['store/', 'sql/', 'errors.ts', 'words.ts'].map((p) => VAULT + p) },
  { from: `${VAULT}keys/`, may: ['keys/', 'format/', 'errors.ts', 'words.ts'].map((p) => VAULT + p) },
  {
    from: `${VAULT}journal/`,
    may: ['journal/', 'format/', 'store/', 'sql/', 'keys/', 'errors.ts', 'words.ts'].map((p) => VAULT + p),
  },
  { from: VAULT, may: [VAULT] },
  { from: 'functions/rim/', may: [VAULT, 'functions/rim/'] },
  // What it is made of where it runs: the functions of its vaults go in threads beside it.
  {
    from: 'functions/catalog/handler.ts',
    may: [VAULT, ...['rim/', 'catalog/', 'host/'].map((p) => `functions/${p}`)],
  },
  ...FUNCTIONS.map((name) => ({ from: `functions/${name}/`, may: [VAULT, 'functions/rim/', `functions/${name}/`] })),
  // Disks are read in threads that it starts.
  { from: 'functions/host/image-sources.ts', may: [VAULT, 'functions/host/', 'functions/restorer/disk-image.ts'] },
  { from: 'functions/host/', may: [VAULT, 'functions/rim/', 'functions/host/'] },
  {
    from: 'host-exporter/changed-blocks/',
    may: [VAULT, 'host-exporter/changed-blocks/', 'host-exporter/qemu/'],
  },
  { from: 'host-exporter/qemu/', may: [VAULT, 'host-exporter/qemu/', 'host-exporter/libvirt/open-agent.ts'] },
  {
    from: 'host-exporter/libvirt/',
    may: [VAULT, ...['libvirt/', 'changed-blocks/', 'qemu/'].map((p) => `host-exporter/${p}`)],
  },
  { from: 'host-exporter/api/version.ts', may: ['package.json'] },
  { from: 'host-exporter/', may: [VAULT, 'host-exporter/'] },
];

/** Packages that appear only in the files that adapt them. */
const PACKAGES: readonly { readonly name: RegExp; readonly only: RegExp }[] = [
  { name: /^@aws-lambda-powertools\//, only: /^functions\/(rim\/|[a-z-]+\/(http-)?handler\.ts$)/ },
  { name: /^@hpke\//, only: /^functions\/vault\/keys\// },
  { name: /^(commander|cli-progress)$/, only: /^functions\/command-line\// },
  { name: /^qrcode$/, only: /^functions\/command-line\/escrow\// },
  { name: /^ajv/, only: /^(functions\/rim\/|host-exporter\/api\/exporter-settings\.ts$)/ },
  { name: /^mariadb$/, only: /^functions\/vault\/sql\/mariadb-driver\.ts$/ },
  { name: /^pg$/, only: /^functions\/vault\/sql\/postgres-driver\.ts$/ },
  { name: /^@aws-sdk\/|^@smithy\//, only: /^functions\/vault\/store\/s3-/ },
  { name: /^openstack-swift-client$/, only: /^functions\/vault\/store\/swift\/account\.ts$/ },
  { name: /^croner$/, only: /^functions\/catalog\/policies\/(schedule|trigger)\.ts$/ },
  { name: /^luxon$/, only: /^functions\/retention\/periods\.ts$/ },
  { name: /^esbuild$/, only: /^(functions\/host|host-exporter)\/build\.ts$/ },
  { name: /^fast-xml-parser$/, only: /^host-exporter\/libvirt\/(domain|backup-documents)\.ts$/ },
];

interface Import {
  readonly file: string;
  readonly specifier: string;
}

function imports(): Import[] {
  const files = globSync(['functions/**/*.ts', 'host-exporter/**/*.ts'], { cwd: ROOT });
  return files.flatMap((file) => importsOf(file, readFileSync(join(ROOT, file), 'utf8')));
}

function importsOf(file: string, text: string): Import[] {
  const found = text.matchAll(/(?:^|\s)(?:from|import)\s*\(?\s*'([^']+)'/g);
  return [...found].map(([, specifier]) => ({ file, specifier: specifier ?? '' }));
}

/** The imported file, relative to the root; undefined for packages and Node's own modules. */
function targetOf({ file, specifier }: Import): string | undefined {
  if (specifier.startsWith('#vault/')) return VAULT + specifier.slice('#vault/'.length);
  if (!specifier.startsWith('.')) return undefined;
  return relative(ROOT, join(ROOT, file, '..', specifier));
}

function violates(each: Import): boolean {
  const target = targetOf(each);
  if (target === undefined)
    return PACKAGES.some(({ name, only }) => name.test(each.specifier) && !only.test(each.file));
  const rule = RULES.find(({ from }) => each.file.startsWith(from));
  return rule !== undefined && !rule.may.some((allowed) => target.startsWith(allowed));
}

test('imports point inwards, functions do not know each other, and packages stay in the files that adapt them', () => {
  const all = imports();
  expect(all.length).toBeGreaterThan(100);
  expect(all.filter(violates)).toEqual([]);
});

test.each([
  ['functions/vault/format/page.ts', '../store/file-store.ts'],
  ['functions/segment-processor/handler.ts', '../point-committer/commit-run.ts'],
  ['host-exporter/api/export-member.ts', '../../functions/host/function-host.ts'],
  ['host-exporter/libvirt/virsh.ts', '../api/api-error.ts'],
  ['host-exporter/libvirt/virsh.ts', 'fast-xml-parser'],
  ['functions/vault/vault.ts', '../../host-exporter/qemu/nbd-client.ts'],
  ['functions/segment-processor/process-part.ts', '@aws-lambda-powertools/logger'],
  ['functions/vault/store/open-store.ts', '@aws-sdk/client-s3'],
  ['functions/vault/journal/sql-journal.ts', 'pg'],
  ['functions/vault/sql/postgres-driver.ts', 'mariadb'],
  ['functions/catalog/runs/commit.ts', '../../point-committer/commit-run.ts'],
  ['functions/catalog/restores/copy-disk.ts', '../../restorer/disk-image.ts'],
  ['functions/restorer/disk-image.ts', '../../host-exporter/restore/restore-disk.ts'],
  ['functions/catalog/routes.ts', '../host/http-server.ts'],
  ['functions/catalog/handler.ts', '../sweeper/sweep-vault.ts'],
  ['functions/host/http-server.ts', '../catalog/routes.ts'],
  ['functions/catalog/routes/policy-routes.ts', '@aws-lambda-powertools/event-handler/http'],
])('the rules catch %s importing %s', (file, specifier) => {
  expect(violates({ file, specifier })).toBe(true);
});

test('type-only and dynamic imports count as imports', () => {
  const text = "import type { A } from './a.ts';\nconst b = await import('./b.ts');\nexport { c } from './c.ts';";
  expect(importsOf('x.ts', text).map(({ specifier }) => specifier)).toEqual(['./a.ts', './b.ts', './c.ts']);
});

test('every bundle has its source', () => {
  expect(Object.values(BUNDLES).filter((source) => !existsSync(join(ROOT, source)))).toEqual([]);
});
