import { expect, test } from 'vitest';
import { policyText, readPolicy } from '../../../functions/retention/policy-text.ts';

test.each([
  ['daily=7', { daily: 7, timeZone: 'UTC' }],
  [
    'last=1,hourly=2,daily=3,weekly=4,monthly=5,yearly=6,within=48h,zone=Europe/Berlin',
    {
      ...{ last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 6, withinHours: 48 },
      timeZone: 'Europe/Berlin',
    },
  ],
  [' zone = Asia/Kolkata , within = 2w ', { withinHours: 336, timeZone: 'Asia/Kolkata' }],
  ['within=36', { withinHours: 36, timeZone: 'UTC' }],
])('%j is read, and what is written of it is read back', (text, policy) => {
  expect(readPolicy(text, 'UTC')).toEqual(policy);
  expect(readPolicy(policyText(policy), 'America/New_York')).toEqual(policy);
});

test.each([
  ['', /rules such as daily=7/],
  ['zone=UTC', /without a rule would keep nothing/],
  ['daily=0', /rule daily .* keeps 0/],
  ['daily=0,weekly=0', /keeps 0/],
  ['daily=-1', /whole number/],
  ['daily=1.5', /whole number/],
  ['daily=seven', /whole number/],
  ['daily=100001', /0 to 100000/],
  ['last=999999999', /0 to 100000/],
  ['within=0h', /withinHours .* keeps 0/],
  ['within=forever', /span of time/],
  ['within=999999w', /0 to 100000/],
  ['daily=7,daily=8', /daily twice/],
  ['fortnightly=2', /fortnightly=2/],
  ['__proto__=2', /found/],
  ['daily=7,zone=Europe/Atlantis', /"Europe\/Atlantis" is no time zone/],
  ['daily=7,zone=', /found "zone="/],
  ['daily=7;weekly=4', /whole number|found/],
])('%j is refused with words', (text, words) => {
  expect(() => readPolicy(text, 'UTC')).toThrow(
    expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(words) }),
  );
});
