import { EkkoError } from '../../errors.ts';
import type { Authenticator } from './authenticator.ts';
import { asRecord } from './fields.ts';
import { PassingFailure, type Patience, withRetries } from './patience.ts';
import { refusalOf } from './swift-requests.ts';

/** What is asked of a whole account. The one adapter of openstack-swift-client. */
export interface Account {
  /** Makes the container unless it is there. Throws `store-failed`. */
  createContainer(name: string): Promise<void>;
  /** Objects that one bulk delete may name: 0 where the service has none, undefined where it does not say. */
  bulkDeleteLimit(): Promise<number | undefined>;
}

/** The part of the library that is used; its own types lack most of it. */
interface SwiftClient {
  create(encodedName: string): Promise<unknown>;
  info(): Promise<unknown>;
}

type SwiftClientClass = new (authenticator: Pick<Authenticator, 'authenticate'>) => SwiftClient;

export function openAccount(authenticator: Authenticator, patience: Patience): Account {
  return {
    async createContainer(name) {
      const what = `Cannot make the container ${JSON.stringify(name)}`;
      const create = async () => (await openClient(authenticator)).create(encodeURIComponent(name));
      await withRetries(patience, async () => {
        const { token } = await authenticator.authenticate();
        const first = await statusOf(create(), what, patience);
        if (first !== 401) return checkMade(first, what);
        await authenticator.renew(token);
        checkMade(await statusOf(create(), what, patience), what);
      });
    },

    async bulkDeleteLimit() {
      const info = await within((await openClient(authenticator)).info(), patience).catch(() => undefined);
      if (asRecord(asRecord(info)?.['swift']) === undefined) return undefined;
      const limit = asRecord(asRecord(info)?.['bulk_delete'])?.['max_deletes_per_request'] ?? 0;
      return typeof limit === 'number' && Number.isSafeInteger(limit) ? limit : undefined;
    },
  };
}

/** Loaded when it is needed: it brings a large HTTP library, and most processes never make a container. */
async function openClient(authenticator: Authenticator): Promise<SwiftClient> {
  // Bundled, it is no dependency any more, of whose old habits (punycode, url.parse) Node would not warn the user.
  Object.assign(process, { noDeprecation: true });
  const { default: Client } = await import('openstack-swift-client');
  return new (Client as unknown as SwiftClientClass)(authenticator);
}

/** The library's errors hold the request with its token, so that nothing but the status gets out of here. */
async function statusOf(call: Promise<unknown>, what: string, patience: Patience): Promise<number> {
  try {
    await within(call, patience);
    return 201;
  } catch (error) {
    const status = asRecord(error)?.['statusCode'];
    if (typeof status === 'number') return status;
    if (error instanceof EkkoError) throw error;
    throw new PassingFailure(`${what}: Swift cannot be reached`);
  }
}

function checkMade(status: number, what: string): void {
  if (status !== 201) throw refusalOf({ status, headers: {}, body: Buffer.alloc(0) }, what);
}

/** The library itself waits for ever. */
function within<T>(work: Promise<T>, { silenceMs }: Patience): Promise<T> {
  const tooLate = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('no answer')), silenceMs).unref();
  });
  return Promise.race([work, tooLate]);
}
