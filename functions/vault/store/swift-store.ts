import { checkKey, checkPrefix } from './check-key.ts';
import { NOTHING_KEPT, type ObjectStore } from './object-store.ts';
import { type Account, openAccount } from './swift/account.ts';
import { openAuthenticator } from './swift/authenticator.ts';
import { trustAuthority } from './swift/authority.ts';
import { type CloudSettings, readCloudSettings } from './swift/cloud-settings.ts';
import { openExchange } from './swift/http-exchange.ts';
import { listObjects } from './swift/listing.ts';
import { PATIENCE, type Patience } from './swift/patience.ts';
import { readObject } from './swift/read-object.ts';
import { openRemoval } from './swift/removal.ts';
import { openRequests } from './swift/swift-requests.ts';
import { readSwiftUrl, type SwiftPlace, swiftUrlOf } from './swift/swift-url.ts';
import { openWriter } from './swift/write-object.ts';

/**
 * A store in a container of OpenStack Swift: `swift://container[/prefix][?region=…&interface=…]`. Who asks, and whom, comes from OS_*
 * variables or clouds.yaml. Nothing is asked of the cloud yet; the first create makes the container if it is missing, and until then
 * there is nothing to get, to list or to remove. Throws `bad-input` for the URL and for settings that are wrong or missing.
 *
 * Of the contract, `create` does not keep its promise when several writers race for one key: Swift looks whether the object is there when
 * a request begins, not when it ends, so that several can be told `created`, and the last one's bytes stay. One writer after the other is
 * told the truth. Keys that are named by content lose nothing by that; a journal must not lie here: a Swift vault keeps its journal in SQL.
 * A listing may lag behind, and an object that was removed may answer once more.
 * `get` also throws `damaged`, for an object that does not fit the digest which Swift has of it, however often it is read.
 */
export async function openSwiftStore(
  url: string,
  environment: NodeJS.ProcessEnv,
  patience: Patience = PATIENCE,
): Promise<ObjectStore> {
  const place = readSwiftUrl(url);
  const settings = readCloudSettings(environment);
  if (settings.caFile !== undefined) await trustAuthority(settings.caFile);
  return storeAt(place, withPlace(settings, place), environment, patience);
}

/** What the URL says goes before what the environment says. */
function withPlace(settings: CloudSettings, place: SwiftPlace): CloudSettings {
  return { ...settings, region: place.region ?? settings.region, interface: place.interface ?? settings.interface };
}

function storeAt(
  place: SwiftPlace,
  settings: CloudSettings,
  environment: NodeJS.ProcessEnv,
  patience: Patience,
): ObjectStore {
  const exchange = openExchange(patience, environment);
  const authenticator = openAuthenticator(settings, exchange, patience);
  const requests = openRequests(authenticator, exchange, patience);
  const account: Account = openAccount(authenticator, patience);
  const write = openWriter(requests, account, place.container);
  const removal = openRemoval(requests, account, place.container);
  const base = swiftUrlOf({ ...place, region: undefined, interface: undefined });
  const nameOf = (key: string) => place.prefix + key;

  return {
    url: swiftUrlOf(place),
    // Swift has flushed what it says it has.
    create: async (key, body) => write(nameOf(checkKey(key)), body, `Cannot write ${base}/${key}`),
    get: async (key, range) =>
      readObject(requests, { container: place.container, name: nameOf(checkKey(key)), url: `${base}/${key}` }, range),
    async *list(prefix, { after = '' } = {}) {
      yield* listObjects(requests, place, {
        prefix: checkPrefix(prefix),
        after,
        what: `Cannot list ${base}/${prefix}`,
      });
    },
    async remove(keys) {
      await removal.remove(keys.map(checkKey).map(nameOf), `Cannot remove objects of ${base}`);
      return NOTHING_KEPT;
    },
  };
}
