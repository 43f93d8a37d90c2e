import { Ajv } from 'ajv';

/** The one ajv of a bundle: compiling a schema costs milliseconds, checking by a compiled one microseconds. */
export const ajv = new Ajv({ allErrors: true, coerceTypes: true, useDefaults: true, strict: true });
