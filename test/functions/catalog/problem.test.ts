import { expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { problemAnswer } from '../../../functions/catalog/problem.ts';

const detailOf = (error: unknown) => (problemAnswer(error).body as { readonly detail: string }).detail;

test('an error of ours is told with its code; of any other nothing is told', () => {
  const ours = new EkkoError('not-found', 'There is no vault "a" in this project.');
  expect(problemAnswer(ours)).toMatchObject({ status: 404, body: { code: 'not-found', detail: ours.message } });
  const other = problemAnswer(new Error('password=x'));
  expect(other).toMatchObject({ status: 500, body: { code: 'unexpected' } });
  expect(JSON.stringify(other)).not.toContain('password');
});

test.each(['mariadb://db.internal:3306/ekko', 'postgresql://db.internal:5432/ekko'])(
  'where the operator’s database %s is, tenants are not told',
  (url) => {
    const failed = new EkkoError('store-failed', `Cannot insert into the SQL journal ${url}: refused. Make room.`);
    expect(problemAnswer(failed)).toMatchObject({ status: 502, body: { code: 'store-failed' } });
    expect(detailOf(failed)).not.toContain('db.internal');
    expect(detailOf(failed)).toContain('Try again later');
  },
);

test('a detail is cut where it has no end', () => {
  expect(detailOf(new EkkoError('bad-input', 'x'.repeat(10_000)))).toHaveLength(4000);
});
