import { expect, test } from 'vitest';
import { readS3Url } from '#vault/store/s3-url.ts';

const AWS = { bucket: 'bucket', prefix: '', endpoint: undefined, region: undefined, pathStyle: false };

test.each([
  ['s3://bucket', AWS],
  ['s3://bucket/', AWS],
  ['s3://bucket/a/B-1', { ...AWS, prefix: 'a/B-1/' }],
  ['s3://bucket/a/', { ...AWS, prefix: 'a/' }],
  ['s3://bucket?region=eu-central-1', { ...AWS, region: 'eu-central-1' }],
  ['s3://bucket?path-style=true', { ...AWS, pathStyle: true }],
  [
    's3://bucket/a?endpoint=https://s3.example.org:8080/&region=RegionOne',
    {
      ...{ bucket: 'bucket', prefix: 'a/', region: 'RegionOne' },
      ...{ endpoint: 'https://s3.example.org:8080', pathStyle: true },
    },
  ],
  [
    's3://bucket?path-style=false&endpoint=http%3A%2F%2F127.0.0.1%3A1%2Fs3',
    { ...AWS, endpoint: 'http://127.0.0.1:1/s3' },
  ],
])('%s names a place, and its one spelling names the same', (text, place) => {
  const { url, ...found } = readS3Url(text);
  expect(found).toEqual(place);
  expect(readS3Url(url)).toEqual({ ...found, url });
});

test('a URL keeps nothing that is the rule', () => {
  const { url } = readS3Url('S3://bucket/a/?path-style=true&endpoint=https://s3.example.org/');
  expect(url).toBe('s3://bucket/a?endpoint=https://s3.example.org');
});

test.each([
  ['s3:bucket', 'is written as s3://'],
  ['s3://', 'a bucket has'],
  ['s3://Bucket', 'a bucket has'],
  ['s3://bucket:9000/a', 'a bucket has'],
  ['s3://bucket//a', 'a prefix is'],
  ['s3://bucket/a//b', 'a prefix is'],
  ['s3://bucket/../b', 'a prefix is'],
  ['s3://bucket/a%2fb', 'a prefix is'],
  [`s3://bucket/${'a'.repeat(501)}`, 'a prefix is'],
  ['s3://bucket?regoin=a', '"regoin" in its query is unknown'],
  ['s3://bucket?region=a&region=b', 'twice'],
  ['s3://bucket?region=', 'its region'],
  ['s3://bucket?path-style=yes', 'true or false'],
  ['s3://bucket?endpoint=s3.example.org', 'its endpoint'],
  ['s3://bucket?endpoint=ftp://s3.example.org', 'its endpoint'],
  ['s3://bucket?endpoint=https://s3.example.org?a', 'its endpoint'],
  ['s3://bucket?endpoint=https://a%2540b:c%40d', 'endpoint names a user'],
  ['s3://key:secret@bucket', 'credentials come from the environment'],
])('%s is refused: %s', (text, why) => {
  expect(() => readS3Url(text)).toThrow(
    expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(why) }),
  );
});
