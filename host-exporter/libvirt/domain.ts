import { XMLParser } from 'fast-xml-parser';
import { EkkoError } from '#vault/errors.ts';
import { asObject, type JsonObject, memberOf, textOf } from '../qemu/json-value.ts';

/** A guest as libvirt describes it, with what Nova wrote into its description. */
export interface Domain {
  /** libvirt's id of it; the server's, where Nova made it. */
  readonly uuid: string;
  readonly name: string;
  /** Nova's name of the server, '' elsewhere. */
  readonly serverName: string;
  /** Id of the project that owns the server, '' where Nova does not say. */
  readonly project: string;
  /** Id of the Glance image that the server was made of, '' where Nova does not say. */
  readonly glanceImage: string;
  /** Writable disks, in libvirt's order. */
  readonly disks: readonly DomainDisk[];
}

export interface DomainDisk {
  /** libvirt's name of the disk, e.g. `vda`. */
  readonly device: string;
  /** Where the image is: a path, or what there is instead of one. For people. */
  readonly image: string;
  /** `qcow2`, `raw`, … */
  readonly format: string;
  /** Id of the Cinder volume, by the disk's serial number; undefined for a local disk. */
  readonly volume: string | undefined;
  /** File name of the image that a local disk was built on, in Nova's cache a digest of its Glance id; undefined without one. */
  readonly base: string | undefined;
  /** Number of the image within the running guest; undefined while it does not run. */
  readonly index: number | undefined;
  /** Served by an I/O thread of its own or of its controller. */
  readonly hasThread: boolean;
}

const LISTS = new Set(['domain.devices.disk', 'domain.devices.controller']);
const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  removeNSPrefix: true,
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (_name, path) => LISTS.has(String(path)),
});

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads what `virsh dumpxml` prints. Throws `bad-format`. */
export function parseDomain(xml: string): Domain {
  const domain = asObject(memberOf(asObject(parser.parse(xml), 'the description'), 'domain'), 'the domain');
  const uuid = textOf(domain, 'uuid');
  if (!UUID.test(uuid)) throw new EkkoError('bad-format', `libvirt described a domain whose uuid is "${uuid}"`);
  const instance = within(domain, 'metadata', 'instance');
  const devices = within(domain, 'devices');
  const threaded = threadedControllers(devices);
  const disks = listOf(devices, 'disk').filter(isWritable);
  return {
    uuid,
    name: textOf(domain, 'name'),
    serverName: textOf(instance, 'name'),
    project: textOf(within(instance, 'owner', 'project'), '@uuid'),
    glanceImage: textOf(within(instance, 'root'), '@uuid'),
    disks: disks.map((disk) => parseDisk(disk, threaded)),
  };
}

function isWritable(disk: JsonObject): boolean {
  const device = textOf(disk, '@device') || 'disk';
  return device === 'disk' && memberOf(disk, 'readonly') === undefined && memberOf(disk, 'source') !== undefined;
}

function parseDisk(disk: JsonObject, threaded: ReadonlySet<string>): DomainDisk {
  const driver = within(disk, 'driver');
  const source = within(disk, 'source');
  const serial = textOf(disk, 'serial').toLowerCase();
  const index = Number(textOf(source, '@index') || Number.NaN);
  const controller = `${textOf(within(disk, 'target'), '@bus')} ${textOf(within(disk, 'address'), '@controller')}`;
  return {
    device: textOf(within(disk, 'target'), '@dev'),
    image: placeOf(source),
    format: textOf(driver, '@type') || 'raw',
    volume: UUID.test(serial) ? serial : undefined,
    base: baseOf(disk),
    index: Number.isSafeInteger(index) ? index : undefined,
    hasThread: textOf(driver, '@iothread') !== '' || 'iothreads' in driver || threaded.has(controller),
  };
}

function placeOf(source: JsonObject): string {
  const network = [textOf(source, '@protocol'), textOf(source, '@name')].filter((text) => text !== '').join(':');
  return textOf(source, '@file') || textOf(source, '@dev') || network || 'an image without a name';
}

/** The last image of the chain: what lies between it and the disk are snapshots. */
function baseOf(disk: JsonObject): string | undefined {
  let base: string | undefined;
  for (let layer = within(disk, 'backingStore'); 'source' in layer; layer = within(layer, 'backingStore')) {
    base = placeOf(within(layer, 'source')).split('/').at(-1);
  }
  return base;
}

function threadedControllers(devices: JsonObject): ReadonlySet<string> {
  const threaded = listOf(devices, 'controller').filter((one) => textOf(within(one, 'driver'), '@iothread') !== '');
  return new Set(threaded.map((one) => `${textOf(one, '@type')} ${textOf(one, '@index')}`));
}

/** The element down `path`, or one without anything: an empty element is parsed as text. */
function within(element: JsonObject, ...path: readonly string[]): JsonObject {
  let found: unknown = element;
  for (const name of path) found = isElement(found) ? memberOf(found, name) : undefined;
  return isElement(found) ? found : {};
}

function listOf(element: JsonObject, name: string): readonly JsonObject[] {
  const list = memberOf(element, name);
  return Array.isArray(list) ? list.filter(isElement) : [];
}

function isElement(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
