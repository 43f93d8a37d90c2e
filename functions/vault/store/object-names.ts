import { createHash } from 'node:crypto';
import { EkkoError } from '../errors.ts';

/** The keys of everything in a vault (`docs/format.md`, "Objects"). */
export const VAULT_JSON = 'vault.json';

export const Folder = {
  journal: 'journal/',
  states: 'states/',
  staging: 'staging/',
  receipts: 'receipts/',
  packs: 'packs/',
  samples: 'samples/',
  pages: 'pages/',
  manifests: 'manifests/',
  points: 'points/',
  moves: 'moves/',
  sweeps: 'sweeps/',
  keys: 'keys/',
} as const;

/** Folders whose objects are named by the SHA-256 of their bytes. */
export const CONTENT_NAMED = [Folder.packs, Folder.pages, Folder.manifests, Folder.points, Folder.moves] as const;
export type ContentFolder = (typeof CONTENT_NAMED)[number];

/** Whether the object is what a vault is made of: never changed, and needed for as long as any point is. All else can be made anew. */
export function isLasting(key: string): boolean {
  return key === VAULT_JSON || LASTING.some((folder) => key.startsWith(folder));
}

/** Whether the first object that had the key is the true one, whatever came later. Of all others that last the name tells. */
export function isFirstToCount(key: string): boolean {
  return key === VAULT_JSON || FIRST_TO_COUNT.some((folder) => key.startsWith(folder));
}

const FIRST_TO_COUNT = [Folder.journal, Folder.keys] as const;
/** Folders of what lasts, beside `vault.json`. */
export const LASTING = [...CONTENT_NAMED, ...FIRST_TO_COUNT] as const;

/** `packs/3f/3f…`: two digits of fan-out keep every folder of a file system small. */
export function contentKey(folder: ContentFolder, name: string): string {
  return `${folder}${checkName(name).slice(0, 2)}/${name}`;
}

/** The name in a content-named key, or undefined where the key is not of that form. */
export function nameOf(key: string): string | undefined {
  return /^[a-z]+\/([0-9a-f]{2})\/(\1[0-9a-f]{62})$/.exec(key)?.[2];
}

/** SHA-256 of an object's bytes in hex: its name. */
export function contentName(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

/** A 64-digit lower-case hex name, or `bad-format`. */
export function checkName(name: string): string {
  if (/^[0-9a-f]{64}$/.test(name)) return name;
  throw new EkkoError('bad-format', `${JSON.stringify(name.slice(0, 80))} is not the name of an object.`);
}

export function sampleKey(id: string): string {
  return `${Folder.samples}${checkName(id).slice(0, 2)}/${id}`;
}

/** `journal/00000000000000000001`: 20 digits, so that listing order is numeric order. */
export function journalKey(position: number): string {
  return Folder.journal + digits(position, 20);
}

export function stateKey(position: number): string {
  return Folder.states + digits(position, 20);
}

/** `keys/0002/3f…`: a key object, named by the SHA-256 of its bytes. */
export function epochKey(epoch: number, name: string): string {
  return `${Folder.keys}${digits(epoch, 4)}/${checkName(name)}`;
}

/** The epoch and the name in the key of a key object, or undefined where the key is not of that form. */
export function epochPlaceOf(key: string): { epoch: number; name: string } | undefined {
  const [, epoch, name] = /^keys\/(\d{4})\/([0-9a-f]{64})$/.exec(key) ?? [];
  return epoch === undefined || name === undefined ? undefined : { epoch: Number(epoch), name };
}

/** `sweeps/<20 digits>/<4 digits>`: part `part` of what a sweep at the journal's entry `position` noted for the next one. */
export function sweepNoteKey(position: number, part: number): string {
  return `${Folder.sweeps}${digits(position, 20)}/${digits(part, 4)}`;
}

/** One staged part of one disk of one run. `part` may be `summary`. */
export interface PartPlace {
  readonly run: string;
  /** The disk's number in the run. */
  readonly disk: number;
  readonly part: number | 'summary';
}

/** Folders of what there is for each part of a run. */
export type PartFolder = typeof Folder.staging | typeof Folder.receipts;

export function stagingKey(place: PartPlace): string {
  return placeKey(Folder.staging, place);
}

export function receiptKey(place: PartPlace): string {
  return placeKey(Folder.receipts, place);
}

/** The prefix of all that a folder has of one disk (by number) of a run. */
export function diskFolder(folder: PartFolder, run: string, disk: number): string {
  return `${folder}${checkRun(run)}/${digits(disk, 4)}/`;
}

/** What a run's group is built of, from its start to its commit: `receipts/<run>/topology`. */
export function topologyKey(run: string): string {
  return `${Folder.receipts}${checkRun(run)}/topology`;
}

function placeKey(folder: PartFolder, { run, disk, part }: PartPlace): string {
  return diskFolder(folder, run, disk) + (part === 'summary' ? part : digits(part, 8));
}

/** The place that a key of `folder` names. Throws `bad-input`, also for a key of another folder: keys come from events. */
export function placeOf(key: string, folder: PartFolder = Folder.staging): PartPlace {
  const found = key.startsWith(folder) ? PLACE.exec(key.slice(folder.length)) : null;
  const [, run, disk, part] = found ?? [];
  if (run === undefined || !RUN_ID.test(run)) {
    const what = folder === Folder.staging ? 'a staged part' : 'a receipt';
    throw new EkkoError('bad-input', `${JSON.stringify(key.slice(0, 80))} is not the key of ${what}.`);
  }
  return { run, disk: Number(disk), part: part === 'summary' ? part : Number(part) };
}

const PLACE = /^([^/]+)\/(\d{4})\/(\d{8}|summary)$/;

/** `20261120-191503-7c1e9a`: sortable, unique by 24 random bits within a second. */
const RUN_ID = /^\d{8}-\d{6}-[0-9a-f]{6}$/;

export function checkRun(run: string): string {
  if (RUN_ID.test(run)) return run;
  throw new EkkoError(
    'bad-input',
    `${JSON.stringify(run.slice(0, 80))} is not the id of a run (20261120-191503-7c1e9a).`,
  );
}

/** A new run's id: UTC time for people, random for uniqueness; nothing depends on the time being right. */
export function newRunId(now: Date, random: Uint8Array): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').slice(0, 15).replace('T', '-');
  return `${stamp}-${Buffer.from(random).toString('hex').slice(0, 6)}`;
}

function digits(value: number, width: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new EkkoError('bad-input', `${value} is not a position.`);
  return String(value).padStart(width, '0');
}
