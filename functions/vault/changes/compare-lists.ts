import type { Change } from './changes.ts';

/** A value as it is shown; `secret` is compared and not shown; `id` is compared, and `called` shown; `size` is in bytes. */
export type Shown = string | number | boolean | undefined | Secret | Size | Called;
interface Secret {
  readonly secret: string;
}
interface Size {
  readonly size: number;
}
interface Called {
  readonly id: string;
  readonly called: string;
}

/** Names of objects, by id. */
export type Names = ReadonlyMap<string, string>;

/** One object as it is compared. */
export interface View {
  readonly id: string;
  readonly name: string;
  /** By what they are called: `flavor`, `key pair`. The first word of a change. */
  readonly fields: Readonly<Record<string, Shown>>;
  /** Texts whose order does not matter, by what one of them is called: `rule`, `tag`. */
  readonly sets: Readonly<Record<string, readonly string[]>>;
}

/** Objects of one kind. */
export interface ListedView {
  /** As omissions call the list: `securityGroups`. */
  readonly part: string;
  readonly kind: string;
  readonly objects: readonly View[];
  /** Said of what is there now and was not, or the other way round; `added` and `removed` where nothing else is told. */
  readonly words?: { readonly added: string; readonly removed: string };
  /** Fields and ids that could not be read. */
  readonly lacking?: ReadonlySet<string>;
}

/** What was added, removed and changed, in the order of names. */
export function compareLists(before: ListedView, after: ListedView): Change[] {
  const lacking = new Set([...(before.lacking ?? []), ...(after.lacking ?? [])]);
  const earlier = new Map(before.objects.map((view) => [view.id, view]));
  const later = new Map(after.objects.map((view) => [view.id, view]));
  const { kind, words: said } = after;
  const whole = (view: View, change: 'added' | 'removed'): Change => ({
    ...{ kind, name: nameOf(view), change, text: `${kind} ${nameOf(view)} ${said?.[change] ?? change}` },
  });
  const ids = [...new Set([...earlier.keys(), ...later.keys()])].filter((id) => !lacking.has(id));
  const order = (id: string) => `${nameOf(later.get(id) ?? earlier.get(id))}\n${id}`;
  return ids
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    .flatMap((id) => {
      const [old, now] = [earlier.get(id), later.get(id)];
      if (old === undefined) return now === undefined ? [] : [whole(now, 'added')];
      if (now === undefined) return [whole(old, 'removed')];
      const texts = [...fieldChanges(old, now, lacking), ...setChanges(old, now, lacking)];
      const name = nameOf(now);
      return texts.map((text) => ({ kind, name, change: 'changed' as const, text: `${kind} ${name}${text}` }));
    });
}

function nameOf(view: View | undefined): string {
  return short(view?.name || view?.id || '');
}

function fieldChanges(before: View, after: View, lacking: ReadonlySet<string>): string[] {
  return Object.entries(after.fields).flatMap(([field, now]) => {
    const old = before.fields[field];
    return lacking.has(field) || plain(old) === plain(now) ? [] : [changeOf(field, old, now)];
  });
}

function plain(value: Shown): string {
  if (typeof value === 'object' && 'id' in value) return value.id;
  return JSON.stringify(value) ?? '';
}

function changeOf(field: string, old: Shown, now: Shown): string {
  if (field === 'name') return `: was called ${words(old)}`;
  const [from, to] = [sizeIn(old), sizeIn(now)];
  if (from !== undefined && to !== undefined) {
    const [shownFrom, shownTo] = sizes(from, to);
    return ` ${to > from ? 'grew' : 'shrank'} from ${shownFrom} to ${shownTo}`;
  }
  if (isSecret(old) || isSecret(now)) return `: ${field} changed`;
  if (old === undefined) return `: ${field} ${words(now)} added`;
  if (now === undefined) return `: ${field} ${words(old)} removed`;
  return `: ${field} changed from ${words(old)} to ${words(now)}`;
}

function setChanges(before: View, after: View, lacking: ReadonlySet<string>): string[] {
  return Object.entries(after.sets).flatMap(([called, now]) => {
    const old = before.sets[called] ?? [];
    if (lacking.has(called)) return [];
    const gone = minus(old, now).map((each) => `: ${called} ${short(each)} removed`);
    return [...gone, ...minus(now, old).map((each) => `: ${called} ${short(each)} added`)];
  });
}

/** What of a list is not in another one, as often as it is not. */
function minus(list: readonly string[], other: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const each of other) counts.set(each, (counts.get(each) ?? 0) + 1);
  return [...list].sort().filter((each) => {
    const left = counts.get(each) ?? 0;
    counts.set(each, left - 1);
    return left <= 0;
  });
}

function isSecret(value: Shown): boolean {
  return typeof value === 'object' && 'secret' in value;
}

function sizeIn(value: Shown): number | undefined {
  return typeof value === 'object' && 'size' in value ? value.size : undefined;
}

function words(value: Shown): string {
  const size = sizeIn(value);
  if (size !== undefined) return sizes(size, size)[0];
  if (typeof value === 'object') return 'called' in value ? short(value.called) : '';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return value === undefined || value === '' ? 'none' : short(String(value));
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Two sizes in the largest unit in which both are whole, the unit told once. */
function sizes(from: number, to: number): [string, string] {
  let power = 0;
  while (power < UNITS.length - 1 && (from % 1024 ** (power + 1)) + (to % 1024 ** (power + 1)) === 0 && from + to > 0)
    power++;
  const unit = 1024 ** power;
  const text = `${to / unit} ${UNITS[power]}`;
  return [from === to ? text : String(from / unit), text];
}

const LONGEST = 120;

/** One line, not too long. */
function short(text: string): string {
  const line = text.replace(/\p{Cc}+/gu, ' ');
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1)}…`;
}
