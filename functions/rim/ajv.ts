import { Ajv } from 'ajv';

/**
 * The one ajv of a bundle: compiling a schema costs milliseconds, checking by a compiled one microseconds. Schemas are our own, and the
 * strict mode refuses what it does not know in them; comparing them with the schema of schemas would cost each start 90 ms more.
 */
export const ajv = new Ajv({
  ...{ allErrors: true, coerceTypes: true, useDefaults: true, strict: true },
  ...{ meta: false, validateSchema: false },
});
