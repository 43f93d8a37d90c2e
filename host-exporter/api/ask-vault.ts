import { EkkoError } from '#vault/errors.ts';
import { integer, listOf, readFields, text } from '#vault/format/fields.ts';
import type { VaultAnswer } from '#vault/staging/ask-first.ts';
import { PassingFailure, readRetryAfter, withRetries } from '#vault/store/swift/patience.ts';
import { SEGMENTS_PER_PART } from '#vault/words.ts';
import type { CatalogAccess } from './member-context.ts';
import { askJson, type Peers } from './peers.ts';
import type { TicketPlace } from './ticket.ts';

const WHAT = 'The catalog’s answer to what the vault has';
/** Few: what is not answered is sent. */
const RETRIES = 2;

/** Asks the catalog, with the caller's token, which segments the vault has. Rejects when it does not say. */
export function openAsk(peers: Peers, { catalog, run, server, token }: TicketPlace): CatalogAccess['ask'] {
  const url = `${catalog}/v1/runs/${run}/members/${server}/known`;
  const headers = { 'x-auth-token': token };
  const what = 'The catalog cannot be asked what the vault has';
  return async (disk, { lineage, runs, ids, packs }) => {
    const json = {
      ...{ disk, packs, runs: runs.map(({ first, count }) => [first, count]) },
      ...{ ids: Buffer.concat(ids).toString('base64'), ...(lineage === undefined ? {} : { lineage }) },
    };
    const answer = await withRetries({ ...peers.patience, retries: RETRIES }, async () => {
      const given = await askJson(peers, { method: 'POST', url, headers, what, json });
      if (given.status < 500 && given.status !== 429) return given;
      const retryAfterMs = readRetryAfter(given.headers['retry-after'], Date.now());
      throw new PassingFailure(`${what}: it answers ${given.status}`, { retryAfterMs });
    });
    if (answer.status !== 200) throw new EkkoError('cloud-failed', `${what}: it answers ${answer.status}.`);
    return readAnswer(answer.json, ids.length);
  };
}

/** Checks what the catalog gave: it is of another machine. Throws `bad-format`. */
function readAnswer(given: unknown, segments: number): VaultAnswer {
  const { packs, known } = readFields(given, WHAT, (field) => ({
    packs: field('packs', listOf(reference, SEGMENTS_PER_PART)),
    known: field('known', listOf(integer(SEGMENTS_PER_PART), SEGMENTS_PER_PART)),
  }));
  if (known.length !== segments) {
    throw new EkkoError('bad-format', `${WHAT} is about ${known.length} segments, asked was about ${segments}.`);
  }
  return known.map((number) => packs[number - 1]);
}

function reference(value: unknown, what: string): string {
  const found = text(96)(value, what);
  if (/^[0-9a-f]{96}$/.test(found)) return found;
  throw new EkkoError('bad-format', `${what} is not the reference of a pack.`);
}
