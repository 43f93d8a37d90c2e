// Sets up what `npm start`, `npm test` and `npm run cloud` need: node .setup/prepare.mjs start|test|cloud
// Plain JavaScript on Node's own modules: it runs before anything is installed, on the Node of the machine.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingPrograms, needs, prepareDebianPackages } from './debian-packages.mjs';
import { prepareGuestPackages } from './guest-packages.mjs';
import { nodeOf, prepareNpmPackages } from './npm-packages.mjs';
import { PlainError, run, step } from './run-step.mjs';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(checkout, 'node_modules', '.cache', 'ekko');
const needsOf = {
  start: ['qemu', 'guest'],
  test: [
    ...['qemu', 'guest', 'libvirt', 'restic', 'borg', 'nbdcopy', 'mariadb', 'postgres', 'ceph'],
    ...['keystone', 'swift', 'control-plane', 'zaqar', 'compute'],
  ],
  cloud: ['qemu', 'guest', 'keystone', 'swift', 'control-plane', 'compute'],
};
// Its services read files that are root's, and its host has mounts of its own.
const onlyForRoot = ['libvirt', 'control-plane', 'compute'];

async function prepare(goal) {
  const wanted = needsOf[goal];
  if (wanted === undefined) throw new PlainError('Usage: node .setup/prepare.mjs start|test|cloud');
  await prepareNpmPackages(checkout);
  const leftOut = [
    ...(await attempt('Debian packages', () => prepareDebianPackages(wanted))),
    ...(await attempt('Test guest', () => prepareGuestPackages(cache))),
    ...(await attempt('Cloud', () => whyNoCloud(wanted))),
  ];
  await report(leftOut);
  await buildBundles();
  for (const sentence of leftOut) console.log(`Left out. ${sentence}`);
  if (leftOut.length > 0 && process.env.CI === 'true') throw new PlainError('In CI nothing may be left out');
}

function whyNoCloud(wanted) {
  const asked = wanted.some((need) => onlyForRoot.includes(need));
  return asked && process.getuid() !== 0 ? 'only root can start one' : undefined;
}

/** Without a package Ekko still does most of its work: say what is missing, and go on. */
async function attempt(name, work) {
  try {
    const why = await work();
    return why === undefined ? [] : [`${name}: ${why}`];
  } catch (cause) {
    if (!(cause instanceof PlainError)) throw cause;
    return [`${name}: ${cause.message}`];
  }
}

async function report(leftOut) {
  const guestFiles = existsSync(join(cache, 'packages', 'names.txt'));
  const allowed = (need) => process.getuid() === 0 || !onlyForRoot.includes(need);
  const usable = (need) => missingPrograms([need]).length === 0 && (need !== 'guest' || guestFiles) && allowed(need);
  const has = Object.fromEntries(Object.keys(needs).map((need) => [need, usable(need)]));
  await mkdir(cache, { recursive: true });
  await writeFile(join(cache, 'available.json'), `${JSON.stringify({ has, leftOut }, null, 2)}\n`);
}

async function buildBundles() {
  const build = join(checkout, 'functions', 'host', 'build.ts');
  if (existsSync(build)) await step('bundles', () => run(nodeOf(checkout), [build], { cwd: checkout }));
}

try {
  await prepare(process.argv[2]);
} catch (cause) {
  console.error(cause instanceof PlainError ? cause.message : cause);
  process.exitCode = 1;
}
