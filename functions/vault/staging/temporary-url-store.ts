import { EkkoError } from '../errors.ts';
import type { UploadRight } from '../export-ticket.ts';
import { checkKey } from '../store/check-key.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Exchange } from '../store/swift/http-exchange.ts';
import { networkFailure } from '../store/swift/network-failure.ts';
import { PassingFailure, type Patience, withRetries } from '../store/swift/patience.ts';
import { refusalOf } from '../store/swift/swift-requests.ts';

const LARGEST_ANSWER = 64 * 1024;

/**
 * Puts objects where a temporary URL for a prefix allows it. `upload` is asked anew for each attempt, as it can be renewed; when the store
 * refuses it, `renew`, where there is one, is called once for the object, which may have brought another. Throws `store-failed`; no message has the signature in it.
 */
export function openTemporaryUrlStore(
  { exchange, patience }: { readonly exchange: Exchange; readonly patience: Patience },
  upload: () => UploadRight,
  renew?: () => Promise<void>,
): Pick<ObjectStore, 'create'> {
  return {
    create: (key, body) => {
      checkKey(key);
      const what = `Cannot stage ${key}`;
      let renewed = false;
      return withRetries(patience, async () => {
        const { url, query } = upload();
        const headers = { 'if-none-match': '*', 'content-type': 'application/octet-stream' };
        const request = { method: 'PUT', url: url + key + query, headers, body, most: LARGEST_ANSWER } as const;
        const answer = await exchange(request).catch((error: unknown) => {
          throw networkFailure(error, what);
        });
        if (answer.status === 201) return 'created';
        // An earlier attempt whose answer was lost, or an earlier export of the same moment.
        if (answer.status === 412) return 'exists';
        if (answer.status === 401 || answer.status === 403) {
          if (!renewed) await renew?.();
          renewed = true;
          if (upload().query !== query)
            throw new PassingFailure(`${what}: the permission was renewed`, { kind: 'at-once' });
          const why = `the permission to upload has ended, or is not for this place (${answer.status})`;
          const advice = renew === undefined ? '' : ' Ask for the run again, which renews it.';
          throw new EkkoError('store-failed', `${what}: ${why}.${advice}`);
        }
        throw refusalOf(answer, what);
      });
    },
  };
}
