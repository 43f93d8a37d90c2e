import type { BegunEpoch, RemovedRecipient, VaultRecipient } from '#vault/journal/state.ts';
import { KIND_WORDS } from '#vault/keys/wanted-keys.ts';
import type { Vault } from '#vault/vault.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount } from '../text/sizes.ts';
import { formatTable } from '../text/table.ts';
import { formatTime } from '../text/times.ts';

/** Who can open a vault, and since when. */
export interface KeyList {
  readonly vault: string;
  /** Fingerprint of the key that opened it now. */
  readonly openedBy: string | undefined;
  readonly escrow: string;
  /** Oldest first. */
  readonly epochs: readonly Pick<BegunEpoch, 'epoch' | 'at'>[];
  readonly recipients: readonly Omit<VaultRecipient, 'key'>[];
  readonly removed: readonly Omit<RemovedRecipient, 'key'>[];
}

export function listKeys({ id, holder, journal }: Vault): KeyList {
  const { epochs, recipients, removed, escrow } = journal.state();
  return {
    ...{ vault: id, openedBy: holder?.recipient, escrow },
    epochs: epochs.map(({ epoch, at }) => ({ epoch, at })),
    recipients: [...recipients.values()].map(({ key: _, ...recipient }) => recipient),
    removed: [...removed.values()].map(({ key: _, ...recipient }) => recipient),
  };
}

const COLUMNS = [
  { title: 'KEY' },
  { title: 'KIND' },
  { title: 'LABEL' },
  { title: 'SINCE' },
  { title: 'OPENS EPOCHS' },
] as const;

export function describeKeys({ openedBy, epochs, recipients, removed }: KeyList): string[] {
  const newest = epochs.at(-1);
  const rows = [
    ...recipients.map((each) => [...rowOf(each), `all${each.recipient === openedBy ? ' (opened it now)' : ''}`]),
    ...removed.map((each) => [...rowOf(each), `to ${each.lastEpoch} (removed ${dayOf(each.removedAt)})`]),
  ];
  const began = newest === undefined ? '' : `, the newest began ${formatTime(new Date(newest.at))}`;
  return [...formatTable(COLUMNS, rows), '', `${formatCount(epochs.length, 'key epoch')}${began}.`];
}

function rowOf({
  recipient,
  kind,
  label,
  since,
}: Pick<VaultRecipient, 'recipient' | 'kind' | 'label' | 'since'>): string[] {
  return [recipient, KIND_WORDS[kind], plainText(label ?? '-', 40), dayOf(since)];
}

function dayOf(at: string): string {
  return formatTime(new Date(at)).slice(0, 10);
}
