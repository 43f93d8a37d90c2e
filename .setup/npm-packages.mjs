import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PlainError, run, step } from './run-step.mjs';

/** Path of the Node that runs Ekko, whatever Node began. */
export const nodeOf = (checkout) => join(checkout, 'node_modules', 'node', 'bin', 'node');

/** Installs the npm packages when they are not those of package-lock.json. */
export async function prepareNpmPackages(checkout) {
  const modules = join(checkout, 'node_modules');
  refuseForeignFolder(existsSync(modules) ? modules : checkout);
  if (existsSync(nodeOf(checkout)) && lockIsInstalled(checkout)) return;
  await step('npm packages', () => run(...npm('ci', '--no-progress', '--loglevel=error'), { cwd: checkout }));
  if (!existsSync(nodeOf(checkout))) {
    throw new PlainError(
      'npm did not run the install scripts of the packages `node` and `esbuild`: allow scripts in your npm settings',
    );
  }
}

function refuseForeignFolder(folder) {
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    throw new PlainError(`${folder} is not writable for this user: give it to this user, or remove it, and run again`);
  }
}

// The npm that runs us, which need not be the first one on the path.
function npm(...args) {
  const ours = process.env.npm_execpath;
  return ours?.endsWith('npm-cli.js') ? ['node', [ours, ...args]] : ['npm', args];
}

/** True when each package of the lock is installed in its version; optional ones are for other machines and may be missing. */
export function lockIsInstalled(checkout) {
  const wanted = packagesIn(join(checkout, 'package-lock.json'));
  const found = packagesIn(join(checkout, 'node_modules', '.package-lock.json'));
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    const installed = found[path];
    return path === '' || (installed === undefined ? optional === true : installed.version === version);
  });
}

function packagesIn(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}
