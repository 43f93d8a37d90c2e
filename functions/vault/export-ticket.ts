import { Buffer } from 'node:buffer';
import { EkkoError } from './errors.ts';
import {
  type Check,
  integer,
  label,
  listOf,
  name,
  oneOf,
  optional,
  readFields,
  runId,
  text,
  vaultId,
} from './format/fields.ts';
import { digestInName, imageName, type KnownImage } from './images.ts';
import { MOST_DISKS } from './journal/entries.ts';
import type { VaultState } from './journal/state.ts';
import { type ExportTicket, ticketFor } from './runs.ts';
import type { Vault } from './vault.ts';

/**
 * All that an exporter on another machine is given for the disks of one server in one run. With it the exporter can stage sealed parts
 * of these disks in this run, until the upload's right ends, and do nothing else: it reads nothing of the vault. Secret as a whole.
 */
export interface ServerTicket {
  readonly vault: string;
  readonly run: string;
  readonly epoch: number;
  /** X25519, 32 bytes. */
  readonly stagingPublicKey: Buffer;
  readonly disks: readonly TicketDisk[];
  readonly upload: UploadRight;
  readonly quiesce: 'require' | 'prefer' | 'never';
  /** Bytes of disk a second for the whole server, or undefined. */
  readonly bandwidth: number | undefined;
  /** Why everything is to be read, or undefined to count from the bitmaps. */
  readonly readAll: 'bitmap-distrusted' | undefined;
  /** 32 bytes, where the exporter may ask what the vault has before it sends: the key that segment ids are made with. Secret. */
  readonly idKey: Buffer | undefined;
}

export interface TicketDisk {
  /** The disk's number in the run. */
  readonly index: number;
  readonly name: string;
  /** The HPKE pre-shared key, 32 bytes. Secret. */
  readonly token: Buffer;
  /** The newest restore points that hold the disk, newest first: what a bitmap may count from, and where unchanged segments lie. */
  readonly points: readonly KnownDisk[];
  /** The image that the disk was built on, where the vault has it. */
  readonly image?: KnownImage;
}

export interface KnownDisk {
  readonly run: string;
  /** Bytes. */
  readonly size: number;
  readonly manifest: string;
}

/** An object is staged by `PUT <url><key><query>`: a prefix temporary URL of Swift for PUT alone. */
export interface UploadRight {
  /** Ends in `/`. */
  readonly url: string;
  /** Begins with `?`. Secret. */
  readonly query: string;
}

/** A bitmap that counts from an older point than these is read as if there were none. */
const MOST_POINTS = 32;
const LONGEST_URL = 4096;

/**
 * What the vault has to say for the disks `indexes` of a run. `names` are those of all disks of the run, by number; `images` the digests of the
 * images that some were built on.
 */
export function serverTicket(
  vault: Vault,
  run: string,
  names: readonly string[],
  indexes: readonly number[],
  {
    sourceDedupe,
    ...rest
  }: Pick<ServerTicket, 'upload' | 'quiesce' | 'bandwidth' | 'readAll'> & {
    readonly sourceDedupe?: boolean;
  },
  images: ReadonlyMap<number, string> = new Map(),
): ServerTicket {
  const { epoch, staging, idKey } = vault.keyring.newest;
  const wanted = indexes.map((index) => {
    const disk = names[index];
    if (disk === undefined) throw new EkkoError('disk-unknown', `Run ${run} has no disk ${index}.`);
    const builtOn = images.get(index);
    return {
      disk: { index, name: disk, token: ticketFor(vault, run, index).token },
      image: builtOn === undefined ? undefined : imageName(builtOn),
    };
  });
  const known = knownDisks(
    vault.journal.state(),
    wanted.flatMap(({ disk, image }) => (image === undefined ? disk.name : [disk.name, image])),
  );
  const disks = wanted.map(({ disk, image }) => {
    const [newest] = known.get(image ?? '') ?? [];
    return { ...disk, points: known.get(disk.name) ?? [], ...imageIn(image, newest) };
  });
  const secret = sourceDedupe ? idKey.export() : undefined;
  return { vault: vault.id, run, epoch, stagingPublicKey: staging.publicKey, disks, ...rest, idKey: secret };
}

function imageIn(name: string | undefined, newest: KnownDisk | undefined): Pick<TicketDisk, 'image'> {
  if (name === undefined || newest === undefined) return {};
  return { image: { name, point: newest.run, size: newest.size, manifest: newest.manifest } };
}

/** What the exporter of one disk is told, out of its server's ticket. */
export function diskTicket(
  { vault, run, epoch, stagingPublicKey }: ServerTicket,
  { index, token }: TicketDisk,
): ExportTicket {
  return { vault, run, disk: index, epoch, stagingPublicKey, token };
}

/** The newest restore points that hold each of the disks, newest first: one pass, however many disks there are. */
function knownDisks({ points }: VaultState, names: readonly string[]): ReadonlyMap<string, readonly KnownDisk[]> {
  const known = new Map(names.map((disk): [string, KnownDisk[]] => [disk, []]));
  let open = known.size;
  for (const { run, disks } of [...points.values()].reverse()) {
    if (open === 0) break;
    for (const { name: disk, size, manifest } of disks) {
      const found = known.get(disk);
      if (found === undefined || found.length === MOST_POINTS) continue;
      if (found.push({ run, size, manifest }) === MOST_POINTS) open--;
    }
  }
  return known;
}

/** For JSON. Secret. */
export function encodeTicket({ stagingPublicKey, disks, idKey, ...ticket }: ServerTicket): object {
  const coded = disks.map((disk) => ({ ...disk, token: disk.token.toString('base64') }));
  const secret = idKey === undefined ? {} : { idKey: idKey.toString('base64') };
  return { ...ticket, ...secret, stagingPublicKey: stagingPublicKey.toString('base64'), disks: coded };
}

/**
 * Checks what `encodeTicket` made and JSON brought. Throws `bad-format` naming the field, never its value: also a field that this release
 * does not know, for a newer catalog means something by it. Exporters are updated first.
 */
export function decodeTicket(value: unknown, origin: string): ServerTicket {
  return readFields(value, origin, (field) => ({
    vault: field('vault', vaultId),
    run: field('run', runId),
    epoch: field('epoch', integer(9999)),
    stagingPublicKey: field('stagingPublicKey', bytes32),
    disks: field('disks', listOf(ticketDisk, MOST_DISKS)),
    upload: field('upload', uploadRight),
    quiesce: field('quiesce', oneOf('require', 'prefer', 'never')),
    bandwidth: field('bandwidth', optional(integer(Number.MAX_SAFE_INTEGER))),
    readAll: field('readAll', optional(oneOf('bitmap-distrusted'))),
    idKey: field('idKey', optional(bytes32)),
  }));
}

const ticketDisk: Check<TicketDisk> = (value, what) =>
  readFields(value, what, (field) => ({
    index: field('index', integer(MOST_DISKS)),
    name: field('name', label),
    token: field('token', bytes32),
    points: field('points', listOf(knownPoint, MOST_POINTS)),
    ...decodedImage(field('image', optional(ticketImage))),
  }));

function decodedImage(image: KnownImage | undefined): Pick<TicketDisk, 'image'> {
  return image === undefined ? {} : { image };
}

const ticketImage: Check<KnownImage> = (value, what) =>
  readFields(value, what, (field) => ({
    name: field('name', imageLabel),
    point: field('point', runId),
    size: field('size', integer(Number.MAX_SAFE_INTEGER)),
    manifest: field('manifest', name),
  }));

const imageLabel: Check<string> = (value, what) => {
  const found = label(value, what);
  if (digestInName(found) !== undefined) return found;
  throw new EkkoError('bad-format', `${what} is not the name of an image.`);
};

const knownPoint: Check<KnownDisk> = (value, what) =>
  readFields(value, what, (field) => ({
    run: field('run', runId),
    size: field('size', integer(Number.MAX_SAFE_INTEGER)),
    manifest: field('manifest', name),
  }));

const uploadRight: Check<UploadRight> = (value, what) =>
  readFields(value, what, (field) => ({
    url: field('url', httpUrl),
    query: field('query', (query, named) => {
      const found = text(LONGEST_URL)(query, named);
      if (/^\?[\x21-\x7e]+$/.test(found)) return found;
      throw new EkkoError('bad-format', `${named} is not the query of a URL.`);
    }),
  }));

const httpUrl: Check<string> = (value, what) => {
  const found = text(LONGEST_URL)(value, what);
  const url = URL.canParse(found) ? new URL(found) : undefined;
  const isUsable =
    /^https?:$/.test(url?.protocol ?? '') && found.endsWith('/') && url?.search === '' && url.hash === '';
  if (isUsable && url.username === '') return found;
  throw new EkkoError('bad-format', `${what} is not an http: or https: URL that ends in "/".`);
};

const bytes32: Check<Buffer> = (value, what) => {
  const bytes = Buffer.from(text(64)(value, what), 'base64');
  if (bytes.length === 32 && bytes.toString('base64') === value) return bytes;
  throw new EkkoError('bad-format', `${what} is not 32 bytes in base64.`);
};
