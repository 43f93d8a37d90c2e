import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { EkkoError } from '../../errors.ts';
import { asRecord, type Fields } from './fields.ts';

/**
 * The settings of one cloud of `clouds.yaml`, with those of `secure.yaml` over them, as every OpenStack client reads them: the file that
 * OS_CLIENT_CONFIG_FILE (OS_CLIENT_SECURE_FILE) names, or the first found in `.`, `~/.config/openstack`, `/etc/openstack`.
 * Throws `bad-input`.
 */
export function readCloud(name: string, environment: NodeJS.ProcessEnv): Fields {
  const file = find('clouds', environment['OS_CLIENT_CONFIG_FILE'], environment);
  if (file === undefined) {
    throw new EkkoError(
      'bad-input',
      `OS_CLOUD is set, but there is no clouds.yaml in ${folders(environment).join(', ')}.`,
    );
  }
  const secure = find('secure', environment['OS_CLIENT_SECURE_FILE'], environment);
  const cloud = cloudIn(file, name);
  if (cloud === undefined) {
    throw new EkkoError('bad-input', `${file} has no cloud ${JSON.stringify(name)}, which OS_CLOUD names.`);
  }
  const values = { ...flatten(cloud), ...(secure && flatten(cloudIn(secure, name) ?? {})) };
  return { get: (field) => values[field], describe: (field) => `${field} of cloud ${JSON.stringify(name)} in ${file}` };
}

function folders({ HOME, XDG_CONFIG_HOME }: NodeJS.ProcessEnv): string[] {
  const own = XDG_CONFIG_HOME || (HOME && join(HOME, '.config'));
  return [process.cwd(), ...(own ? [join(own, 'openstack')] : []), '/etc/openstack'];
}

function find(stem: string, named: string | undefined, environment: NodeJS.ProcessEnv): string | undefined {
  if (named) return named;
  const candidates = folders(environment).flatMap((folder) =>
    ['yaml', 'yml', 'json'].map((end) => join(folder, `${stem}.${end}`)),
  );
  return candidates.find((path) => existsSync(path));
}

function cloudIn(file: string, name: string): Record<string, unknown> | undefined {
  const clouds = asRecord(asRecord(parseFile(file))?.['clouds']);
  return clouds && Object.hasOwn(clouds, name) ? asRecord(clouds[name]) : undefined;
}

/** The parser's and the system's own words may quote what stands in the file: they are left out. */
function parseFile(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch {
    throw new EkkoError('bad-input', `${file} cannot be read, or is no YAML.`);
  }
}

/** `auth` and what stands beside it, as one: their names do not meet. Dashes in names mean underscores. */
function flatten({ auth, ...rest }: Record<string, unknown>): Record<string, string> {
  const entries = Object.entries({ ...rest, ...asRecord(auth) });
  const plain = entries.filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
  return Object.fromEntries(plain.map(([name, value]) => [name.replaceAll('-', '_'), String(value)]));
}
