import { EkkoError } from '../errors.ts';
import type { Vault } from '../vault.ts';
import type { KeyHolder } from './open-keyring.ts';

/** Who opened the vault. Throws `bad-input` for one that was just made. */
export function holderOf({ holder }: Vault): KeyHolder {
  if (holder !== undefined) return holder;
  throw new EkkoError('bad-input', 'The vault was just made: open it with one of its keys to change who can open it.');
}
