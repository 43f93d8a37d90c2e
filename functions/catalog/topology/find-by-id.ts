import type { Questions } from './questions.ts';
import { allSaid, type Said, said, textIn } from './said.ts';

/** What Nova and Cinder have a list of: `/servers/{id}` answers `{server}`, `/servers/detail` `{servers}`. */
export type Listed = 'server' | 'volume';

/** So many are asked for one by one; more are looked for in the project's list. */
const ASKED_ONE_BY_ONE = 12;
const PAGE = 1000;
const MOST_PAGES = 10;

/** The objects of these ids that are there, in that order. Throws what asking throws. */
export async function findById({ ask }: Questions, kind: Listed, ids: readonly string[]): Promise<Said[]> {
  const service = kind === 'server' ? 'nova' : 'cinder';
  const place = `/${kind}s`;
  if (ids.length <= ASKED_ONE_BY_ONE) {
    const answers = await Promise.all(ids.map((id) => ask(service, `${place}/${encodeURIComponent(id)}`)));
    return answers.map((answer) => said(answer?.[kind])).filter((object) => ids.includes(textIn(object, 'id')));
  }
  const found = new Map<string, Said>();
  const wanted = new Set(ids);
  for (let page = 0, marker = ''; page < MOST_PAGES && found.size < wanted.size; page++) {
    const query = new URLSearchParams({ limit: String(PAGE), ...(marker && { marker }) });
    const objects = allSaid((await ask(service, `${place}/detail?${query}`))?.[`${kind}s`]);
    for (const object of objects) if (wanted.has(textIn(object, 'id'))) found.set(textIn(object, 'id'), object);
    marker = textIn(objects.at(-1) ?? {}, 'id');
    if (marker === '') break;
  }
  return ids.map((id) => found.get(id)).filter((object) => object !== undefined);
}
