import { type KeystoneSettings, logIn } from './keystone.ts';

/** Resolves when the service list of Nova or Cinder (at `url`, its `os-services`) says that a daemon is up; rejects when not. */
export type ExpectUp = (binary: string) => Promise<void>;

/** As administrator, with one token for all questions. */
export async function serviceList(keystone: KeystoneSettings, url: string): Promise<ExpectUp> {
  const { token } = await logIn(keystone, keystone.admin);
  return async (binary) => {
    const answer = await fetch(`${url}?binary=${binary}`, { headers: { 'x-auth-token': token } });
    const text = await answer.text();
    const { services } = JSON.parse(text) as { services?: { state: string }[] };
    if (services?.some(({ state }) => state === 'up') !== true) throw new Error(`${binary} is not up: ${text}`);
  };
}
