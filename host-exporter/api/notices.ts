import { withRetries } from '#vault/store/swift/patience.ts';
import type { CatalogAccess } from './member-context.ts';
import { askJson, type Peers } from './peers.ts';

/** Few: whoever processes parts finds those that nobody told of by looking at what is staged. */
const NOTICE_RETRIES = 2;

/** Tells the catalog of staged parts, with the caller's token. Rejects never. */
export function openNotify(peers: Peers, catalog: string, run: string, token: string): CatalogAccess['notify'] {
  const patience = { ...peers.patience, retries: NOTICE_RETRIES };
  const headers = { 'x-auth-token': token };
  const what = 'The catalog cannot be told of a part';
  const tell = (key: string) =>
    withRetries(patience, () =>
      askJson(peers, {
        method: 'POST',
        url: `${catalog}/v1/runs/${run}/notices`,
        headers,
        what,
        json: { keys: [key] },
      }),
    );
  return (key) =>
    tell(key).then(
      () => undefined,
      () => undefined,
    );
}
