import pLimit from 'p-limit';
import type { Account } from './account.ts';
import { asRecord } from './fields.ts';
import type { HttpAnswer } from './http-exchange.ts';
import { PassingFailure } from './patience.ts';
import { oddAnswer, refusalOf, type SwiftRequests } from './swift-requests.ts';
import { encodePath } from './swift-url.ts';

/** The service takes more, but works through them one by one: several smaller requests are done sooner. */
const NAMES_PER_REQUEST = 1000;
const REQUESTS_AT_ONCE = 4;
const SINGLES_AT_ONCE = 16;
const LONGEST_ANSWER = 4 * 1024 * 1024;

export interface Removal {
  /** Removes objects of a container; a missing one is no error. `what` is for messages. */
  remove(names: readonly string[], what: string): Promise<void>;
}

/** Removes by bulk deletes, or one by one where the service has none: it is asked once. */
export function openRemoval(requests: SwiftRequests, account: Account, container: string): Removal {
  let limit: Promise<number> | undefined;

  async function removeBatch(names: readonly string[], what: string): Promise<void> {
    if ((await limit) !== 0 && (await removeByBulk(requests, container, names, what))) return;
    limit = Promise.resolve(0);
    await inParallel(names, SINGLES_AT_ONCE, (name) => removeOne(requests, container, name, what));
  }

  return {
    async remove(names, what) {
      const all = [...new Set(names)];
      if (all.length === 0) return;
      if (all.length === 1) return removeOne(requests, container, all[0] ?? '', what);
      limit ??= account.bulkDeleteLimit().then((most = NAMES_PER_REQUEST) => Math.min(most, NAMES_PER_REQUEST));
      const size = (await limit) || NAMES_PER_REQUEST;
      const batches = Array.from({ length: Math.ceil(all.length / size) }, (_, at) =>
        all.slice(at * size, (at + 1) * size),
      );
      await inParallel(batches, REQUESTS_AT_ONCE, (batch) => removeBatch(batch, what));
    },
  };
}

/** All are tried, whatever becomes of some; then throws the first failure. */
async function inParallel<T>(all: readonly T[], atOnce: number, work: (each: T) => Promise<void>): Promise<void> {
  const atMost = pLimit(atOnce);
  const results = await Promise.allSettled(all.map((each) => atMost(() => work(each))));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

function removeOne(requests: SwiftRequests, container: string, name: string, what: string): Promise<void> {
  const path = encodePath(`${container}/${name}`);
  return requests({ method: 'DELETE', path, most: LONGEST_ANSWER, what }, (answer) => {
    if (answer.status === 204 || answer.status === 404) return;
    // Somebody writes the object this moment, by a clock that is ahead.
    if (answer.status === 409) throw new PassingFailure(`${what}: Swift answers 409`);
    throw refusalOf(answer, what);
  });
}

/** False when the service does not know bulk deletes. */
function removeByBulk(
  requests: SwiftRequests,
  container: string,
  names: readonly string[],
  what: string,
): Promise<boolean> {
  const lines = names.map((name) => encodePath(`/${container}/${name}`));
  const headers = { 'content-type': 'text/plain', accept: 'application/json' };
  const body = [Buffer.from(lines.join('\n'))];
  // Without bulk deletes, this changes no metadata of the container.
  const path = `${encodePath(container)}?bulk-delete`;
  return requests({ method: 'POST', path, headers, body, most: LONGEST_ANSWER, what }, (answer) => {
    if (answer.status === 404) return true;
    if ([204, 202, 405, 501].includes(answer.status)) return false;
    if (answer.status !== 200) throw refusalOf(answer, what);
    checkReport(answer, names.length, what);
    return true;
  });
}

/** The status of the answer is 200 whatever happens: what happened is in its body. */
function checkReport({ body, headers }: HttpAnswer, count: number, what: string): void {
  const report = readReport(body);
  const status = Number(/^\d{3}/.exec(String(report?.['Response Status']))?.[0]);
  const errors = report?.['Errors'];
  if (report === undefined || Number.isNaN(status) || !Array.isArray(errors)) {
    throw oddAnswer(what, 'what Swift answers is no report of a bulk delete');
  }
  const failed = errors.map((error: unknown) =>
    Number(/^\d{3}/.exec(String(Array.isArray(error) ? error[1] : ''))?.[0]),
  );
  if (status >= 300 || failed.length > 0) throw failureOf(failed.length > 0 ? failed : [status], headers, what);
  if (Number(report['Number Deleted']) + Number(report['Number Not Found']) !== count) {
    throw oddAnswer(what, 'Swift reports on another number of objects than it was given');
  }
}

/** Forbidden stays forbidden; all else may go better the next time, when what is done counts as not found. */
function failureOf(statuses: readonly number[], headers: HttpAnswer['headers'], what: string): Error {
  if (statuses.includes(403)) return refusalOf({ status: 403, headers, body: Buffer.alloc(0) }, what);
  const found = [...new Set(statuses)].join(', ');
  return new PassingFailure(`${what}: Swift could not remove all of them (${found})`);
}

function readReport(body: Buffer): Record<string, unknown> | undefined {
  try {
    return asRecord(JSON.parse(body.toString()));
  } catch {
    return undefined;
  }
}
