import { asRecord } from '#vault/store/swift/fields.ts';

interface Wanted {
  readonly region: string | undefined;
  readonly interface: string | undefined;
}

/** URL of the first of `types` that Keystone's catalogue has in the wanted region with the wanted interface (`public`), without a last slash. */
export function endpointOf(catalogue: unknown, types: readonly string[], wanted: Wanted): string | undefined {
  const services = recordsIn(catalogue);
  for (const type of types) {
    const endpoints = services
      .filter((service) => service['type'] === type)
      .flatMap((service) => recordsIn(service['endpoints']));
    const found = endpoints.find((each) => fits(each, wanted));
    if (found !== undefined) return String(found['url']).replace(/\/+$/, '');
  }
  return undefined;
}

function fits({ url, interface: kind, region_id, region }: Record<string, unknown>, wanted: Wanted): boolean {
  const isUrl = typeof url === 'string' && /^https?:\/\/[^@?#]+$/.test(url) && URL.canParse(url);
  return (
    isUrl && kind === (wanted.interface ?? 'public') && (wanted.region ?? region_id ?? region) === (region_id ?? region)
  );
}

export function recordsIn(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(asRecord).filter((each) => each !== undefined) : [];
}
