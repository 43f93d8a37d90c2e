import { createHmac, randomBytes } from 'node:crypto';
import { EkkoError } from '../../errors.ts';
import { openAuthenticator } from './authenticator.ts';
import { readCloudSettings } from './cloud-settings.ts';
import { openExchange } from './http-exchange.ts';
import { PATIENCE, PassingFailure, type Patience, withRetries } from './patience.ts';
import { openRequests, refusalOf, type SwiftRequests } from './swift-requests.ts';
import { encodePath, readSwiftUrl } from './swift-url.ts';

/** The right to PUT objects below a prefix, for a while and without a token: `PUT <url><key><query>`. */
export interface TemporaryUpload {
  /** Ends in `/`: the place of the store's keys. */
  readonly url: string;
  /** Begins with `?`. Secret. */
  readonly query: string;
}

const KEY_HEADER = 'x-container-meta-temp-url-key';
const KEY_BYTES = 32;
const LONGEST_ANSWER = 64 * 1024;

/**
 * Signs the right to PUT objects whose keys begin with `folder` into the container of a `swift:` URL, until `until` (a prefix
 * temporary URL, Swift's tempurl middleware, HMAC-SHA-256). The container is made if it is missing, and gets a signing key of its own if
 * it has none: who may change the container's settings may read that key, nobody else. Credentials as for `openSwiftStore`.
 * Throws `bad-input`, `store-failed`.
 */
export async function temporaryUpload(
  url: string,
  { folder, until }: { readonly folder: string; readonly until: Date },
  environment: NodeJS.ProcessEnv,
  patience: Patience = PATIENCE,
): Promise<TemporaryUpload> {
  const { container, prefix } = readSwiftUrl(url);
  const exchange = openExchange(patience, environment);
  const authenticator = openAuthenticator(readCloudSettings(environment), exchange, patience);
  const requests = openRequests(authenticator, exchange, patience);
  const key = await signingKey(requests, patience, container);
  const { url: storageUrl } = await authenticator.authenticate();
  const expires = Math.floor(until.getTime() / 1000);
  const path = `${new URL(storageUrl).pathname}/${container}/${prefix}${folder}`;
  const signature = createHmac('sha256', key).update(`PUT\n${expires}\nprefix:${path}`).digest('hex');
  const query = new URLSearchParams({
    temp_url_sig: signature,
    temp_url_expires: String(expires),
    temp_url_prefix: `${prefix}${folder}`,
  });
  return { url: `${storageUrl}/${encodePath(`${container}/${prefix}`)}`, query: `?${query}` };
}

/** The container's signing key; a first one is made, and if two make one at once, both use the one that Swift kept. */
async function signingKey(requests: SwiftRequests, patience: Patience, container: string): Promise<string> {
  const found = await readKey(requests, container);
  if (found !== undefined) return found;
  await offerKey(requests, container, randomBytes(KEY_BYTES).toString('hex'));
  return withRetries(patience, async () => {
    const kept = await readKey(requests, container);
    if (kept !== undefined) return kept;
    throw new PassingFailure(`${naming(container)}: Swift took a signing key and does not give it back`);
  });
}

/** undefined: the container has none, or is not there. */
function readKey(requests: SwiftRequests, container: string): Promise<string | undefined> {
  const what = naming(container);
  // Not HEAD: Swift sends a body with its 404, which no parser expects there.
  const path = `${encodePath(container)}?format=json&limit=1`;
  return requests({ method: 'GET', path, most: LONGEST_ANSWER, what }, (answer) => {
    if (answer.status === 404) return undefined;
    if (answer.status !== 204 && answer.status !== 200) throw refusalOf(answer, what);
    const key = answer.headers[KEY_HEADER];
    return typeof key === 'string' && key !== '' ? key : undefined;
  });
}

/** A PUT makes the container where it is missing, and sets what it is told where it is not. */
async function offerKey(requests: SwiftRequests, container: string, key: string): Promise<void> {
  const what = naming(container);
  const headers = { [KEY_HEADER]: key };
  await requests(
    { method: 'PUT', path: encodePath(container), headers, body: [], most: LONGEST_ANSWER, what },
    (answer) => {
      if (answer.status === 201 || answer.status === 202) return;
      if (answer.status !== 403) throw refusalOf(answer, what);
      throw new EkkoError(
        'store-failed',
        `${what} (403): the token needs a role that owns the account, such as member.`,
      );
    },
  );
}

function naming(container: string): string {
  return `Cannot set up uploads to the container ${JSON.stringify(container)}`;
}
