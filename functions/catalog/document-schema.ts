/** The JSON Schema 2020-12 of an object with these fields and no others. Required: all but those whose names end in `?`. */
export function document(fields: Record<string, object>, description?: string) {
  const entries = Object.entries(fields);
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    required: entries.flatMap(([name]) => (name.endsWith('?') ? [] : [name])),
    properties: Object.fromEntries(entries.map(([name, schema]) => [name.replace(/\?$/, ''), schema])),
    additionalProperties: false,
  } as const;
}
