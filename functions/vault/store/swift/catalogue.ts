import { EkkoError } from '../../errors.ts';
import { asRecord } from './fields.ts';
import type { Interface } from './swift-url.ts';

interface Wanted {
  readonly region: string | undefined;
  readonly interface: Interface | undefined;
}

interface Endpoint {
  readonly url: string;
  readonly interface: string;
  readonly region: string;
}

/**
 * The storage URL of the project's object store in Keystone's catalogue, without a last slash; the interface is `public` unless wanted
 * otherwise. Throws `store-failed` with what there is instead.
 */
export function storageUrlIn(catalogue: unknown, wanted: Wanted): string {
  const kind = wanted.interface ?? 'public';
  const all = endpointsIn(catalogue);
  if (all.length === 0) {
    throw new EkkoError(
      'store-failed',
      'There is no object-store in the catalogue of this project: give OS_STORAGE_URL, or ask whoever runs the cloud.',
    );
  }
  const near = all.filter((each) => each.interface === kind);
  const [found, ...others] = near.filter((each) => each.region === (wanted.region ?? each.region));
  if (found === undefined) throw nothingThere(wanted, kind, all);
  const regions = new Set([found, ...others].map(({ region }) => region));
  if (regions.size > 1) {
    throw new EkkoError(
      'bad-input',
      `The object-store is in several regions: choose one of ${listed([...regions])} by OS_REGION_NAME or region= in the URL.`,
    );
  }
  return found.url.replace(/\/+$/, '');
}

function nothingThere({ region }: Wanted, kind: Interface, all: readonly Endpoint[]): EkkoError {
  const where = region === undefined ? '' : ` in region ${JSON.stringify(region)}`;
  const there = listed(all.map((each) => `${each.region} (${each.interface})`));
  return new EkkoError(
    'store-failed',
    `The catalogue has no object-store${where} with a ${kind} interface. There is: ${there}.`,
  );
}

function endpointsIn(catalogue: unknown): Endpoint[] {
  const services = listOf(catalogue).filter((service) => service['type'] === 'object-store');
  return services
    .flatMap((service) => listOf(service['endpoints']))
    .flatMap((endpoint) => {
      const { url, interface: kind } = endpoint;
      const region = endpoint['region_id'] ?? endpoint['region'] ?? '';
      const isUsable = typeof url === 'string' && /^https?:\/\/[^@?#]+$/.test(url) && URL.canParse(url);
      return isUsable ? [{ url, interface: String(kind), region: String(region) }] : [];
    });
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(asRecord).filter((each) => each !== undefined) : [];
}

function listed(names: readonly string[]): string {
  return [...new Set(names)].sort().slice(0, 20).join(', ');
}
