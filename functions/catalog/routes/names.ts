import { EkkoError } from '#vault/errors.ts';
import { checkRun } from '#vault/store/object-names.ts';
import { NAME_PATTERN } from '../policies/policy-schema.ts';

const NAME = new RegExp(NAME_PATTERN);

/** A name that a tenant chose. Throws `bad-input`. */
export function nameIn(params: Readonly<Record<string, string>>, what: 'vault' | 'policy' | 'to'): string {
  const name = params[what] ?? '';
  if (NAME.test(name)) return name;
  throw new EkkoError(
    'bad-input',
    `${JSON.stringify(name.slice(0, 80))} is no name of a ${what === 'to' ? 'vault' : what}: up to 64 of a-z, 0-9 and -.`,
  );
}

/** Whether it is an id that callers give their requests. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/** The run in a path. What is no id of a run is none of this project's either. */
export function runIn(params: Readonly<Record<string, string>>): string {
  try {
    return checkRun(params['run'] ?? '');
  } catch (cause) {
    throw new EkkoError('not-found', 'There is no such run in this project.', { cause });
  }
}
