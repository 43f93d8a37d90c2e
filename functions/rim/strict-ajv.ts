import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { EkkoError } from '#vault/errors.ts';

/** JSON Schema 2020-12, as OpenAPI 3.1 has it. Nothing is coerced: what a caller wrote is what is judged. The first error ends the check. */
const strictAjv = new Ajv2020({ strict: true, strictRequired: false, useDefaults: true, allErrors: false });

/** Compiles a check that gives the value back, with its defaults, or throws `bad-input` saying what of `what` is wrong. */
export function checker<T>(schema: object, what: string): (value: unknown) => T {
  let compiled: ValidateFunction<T> | undefined;
  return (value) => {
    compiled ??= strictAjv.compile<T>(schema);
    if (compiled(value)) return value;
    throw new EkkoError('bad-input', `${what} cannot be used: ${problemOf(compiled.errors?.[0])}.`);
  };
}

/** Names the place, says what is expected; of the value found only the names of fields. */
function problemOf(error: ErrorObject | undefined): string {
  if (error === undefined) return 'it is not of its form';
  const place = error.instancePath === '' ? 'it' : error.instancePath.slice(1).replaceAll('/', '.').slice(0, 100);
  const unknown: unknown = error.params['additionalProperty'];
  if (typeof unknown === 'string') return `${place} has ${JSON.stringify(unknown.slice(0, 60))}, which is unknown`;
  if (error.keyword === 'false schema') return `${place} does not belong there`;
  const allowed: unknown = error.params['allowedValues'];
  const values = Array.isArray(allowed) ? ` (${allowed.join(', ')})` : '';
  return `${place} ${error.message ?? 'is wrong'}${values}`;
}
