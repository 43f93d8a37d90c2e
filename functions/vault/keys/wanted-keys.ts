import { EkkoError } from '../errors.ts';
import type { RecipientKind, WrappedRootKey } from '../format/key-epoch.ts';

/** What tells one key of a vault from the others. */
export type KeyName = Pick<WrappedRootKey, 'recipient' | 'kind' | 'label' | 'since'>;

export const KIND_WORDS: Readonly<Record<RecipientKind, string>> = {
  'key-file': 'key file',
  escrow: 'escrow code',
  passphrase: 'passphrase',
  barbican: 'Barbican secret',
};

/** So many fit a message that people read. */
const MOST_NAMED = 8;

/** A key in words: `300c9c9603b92a4b (key file "laptop", since 2026-11-20)`. What the vault says unasked is escaped. */
export function nameKey({ recipient, kind, label, since }: KeyName): string {
  const called = label === undefined ? '' : ` ${JSON.stringify(label.slice(0, 60))}`;
  const words = `${KIND_WORDS[kind]}${called}, since ${since.slice(0, 10)}`;
  return `${recipient} (${words.replace(/[^\x20-\x7e]/gu, escapeOf)})`;
}

/** `use one of …`, as the end of a sentence. */
export function wantedKeys(keys: readonly KeyName[]): string {
  if (keys.length === 0) return 'no key can open it';
  const named = keys.slice(0, MOST_NAMED).map(nameKey);
  const more = keys.length - named.length;
  return `use ${named.join(' or ')}${more > 0 ? ` or one of ${more} more` : ''}`;
}

/** The key given has never been one of this vault's. */
export function strangeKey(given: string, vault: string, keys: readonly KeyName[]): EkkoError {
  return new EkkoError(
    'wrong-key',
    `Key ${given} does not open vault ${vault}: it is the key of another vault, or was never added to this one; ${wantedKeys(keys)}.`,
  );
}

/** The key given opens older epochs only. */
export function removedKey(
  given: string,
  vault: string,
  { epoch, at }: { readonly epoch: number; readonly at: string },
  keys: readonly KeyName[],
): EkkoError {
  return new EkkoError(
    'wrong-key',
    `Key ${given} was removed from vault ${vault} on ${at.slice(0, 10)}, when key epoch ${epoch} began: it opens nothing that was ` +
      `written since; ${wantedKeys(keys)}.`,
  );
}

function escapeOf(odd: string): string {
  return `\\u{${(odd.codePointAt(0) ?? 0).toString(16)}}`;
}
