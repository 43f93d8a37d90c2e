import type { Properties } from '#vault/format/topology.ts';

/** An object in the answer of a service, of which nothing is certain. */
export type Said = Readonly<Record<string, unknown>>;

/** The objects in a list; nothing where there is none. */
export function allSaid(value: unknown): readonly Said[] {
  return Array.isArray(value) ? value.filter(isSaid) : [];
}

export function said(value: unknown): Said {
  return isSaid(value) ? value : {};
}

function isSaid(value: unknown): value is Said {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Text, or what stands for none. */
export function textIn(from: Said, name: string): string {
  const value = from[name];
  return typeof value === 'string' ? value : '';
}

/** `{ [as]: text }`, or nothing where there is no text, or an empty one. */
export function textAs<K extends string>(as: K, from: Said, name: string): { readonly [P in K]?: string } {
  const value = textIn(from, name);
  return value === '' ? {} : ({ [as]: value } as Record<K, string>);
}

/** A count; 0 for anything else. Services write numbers as text, too. */
export function countIn(from: Said, name: string): number {
  return numberOf(from[name]) ?? 0;
}

/** `{ [as]: count }`, or nothing where there is none. */
export function countAs<K extends string>(as: K, from: Said, name: string): { readonly [P in K]?: number } {
  const value = numberOf(from[name]);
  return value === undefined ? {} : ({ [as]: value } as Record<K, number>);
}

function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** Services write `true` as text, too. */
export function flagIn(from: Said, name: string, otherwise = false): boolean {
  const value = from[name];
  if (typeof value === 'boolean') return value;
  return typeof value === 'string' && value !== '' ? value.toLowerCase() === 'true' : otherwise;
}

export function textsIn(from: Said, name: string): readonly string[] {
  const value = from[name];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

/** Texts by name; what is no text is written as JSON. */
export function propertiesIn(value: unknown): Properties {
  const entries = Object.entries(said(value)).flatMap(([name, each]) => {
    if (each === null || each === undefined) return [];
    return [[name, typeof each === 'string' ? each : JSON.stringify(each)] as const];
  });
  return Object.fromEntries(entries);
}
