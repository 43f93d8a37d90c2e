/** Settings by name (`auth_url`), wherever they stand. */
export interface Fields {
  get(name: string): string | undefined;
  /** What a person calls that setting: `OS_AUTH_URL`, or where it stands in a file. */
  describe(name: string): string;
}

/** `OS_AUTH_URL` is `auth_url`. Empty variables are as good as none. */
export function environmentFields(environment: NodeJS.ProcessEnv): Fields {
  const variable = (name: string) => `OS_${name.toUpperCase()}`;
  return { get: (name) => environment[variable(name)] || undefined, describe: variable };
}

/** An object of unknown content, or undefined for anything else. */
export function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
