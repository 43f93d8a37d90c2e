import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { POLICY_SCHEMA } from '../../functions/catalog/policies/policy-schema.ts';
import { TEMPLATES } from '../cloud/stacks.ts';

interface Template {
  readonly description?: string;
  readonly parameters?: Record<
    string,
    { description?: string; type: string; default?: unknown; constraints?: unknown }
  >;
  readonly resources: Record<string, { type: string; properties?: Record<string, unknown> }>;
  readonly outputs?: Record<string, { description?: string }>;
}

const read = (file: string) => parse(readFileSync(join(TEMPLATES, file), 'utf8')) as Template;
const ours = ['vault.yaml', 'policy.yaml'].map((file) => [file, read(file)] as const);
const examples = readdirSync(join(TEMPLATES, 'examples')).map((file) => [file, read(join('examples', file))] as const);

describe.each(ours)('%s', (_, { description, parameters = {}, resources, outputs = {} }) => {
  test('says what it, each parameter and each output is', () => {
    for (const each of [{ description }, ...Object.values(parameters), ...Object.values(outputs)])
      expect(each.description?.length).toBeGreaterThan(20);
  });

  test('has a default for all that can be left out, and bounds for all that is text or a number of its own', () => {
    const required = Object.entries(parameters).filter(([, each]) => each.default === undefined);
    expect(required.map(([name]) => name)).toEqual(parameters['vault'] === undefined ? [] : ['vault']);
    for (const [name, each] of Object.entries(parameters))
      if (/^(string|number)$/.test(each.type) && name !== 'vault')
        expect([name, each.constraints]).toEqual([name, expect.anything()]);
  });

  test('gives no schedule a name, for a changed one would collide with itself', () => {
    for (const { type, properties } of Object.values(resources))
      if (type === 'OS::Mistral::CronTrigger') expect(properties).not.toHaveProperty('name');
  });

  test('calls nothing twice among parameters and resources, which Heat refuses', () => {
    const names = [...Object.keys(parameters), ...Object.keys(resources)];
    expect(new Set(names).size).toBe(names.length);
  });
});

test('a policy in Heat has each property that a policy has', () => {
  const text = readFileSync(join(TEMPLATES, 'policy.yaml'), 'utf8');
  for (const name of Object.keys(POLICY_SCHEMA.properties)) expect(text).toMatch(new RegExp(`[ {]${name}:`));
});

test('the environment maps files that are there', () => {
  const { resource_registry } = parse(readFileSync(join(TEMPLATES, 'environments', 'ekko.yaml'), 'utf8')) as {
    resource_registry: Record<string, string>;
  };
  expect(Object.keys(resource_registry)).toEqual(['Ekko::Backup::Vault', 'Ekko::Backup::Policy']);
  for (const file of Object.values(resource_registry))
    expect(existsSync(join(TEMPLATES, 'environments', file))).toBe(true);
});

test.each(examples)(
  'the example %s has a vault and a policy, and only properties that they know',
  (_, { resources }) => {
    for (const [type, file] of [
      ['Ekko::Backup::Vault', 'vault.yaml'],
      ['Ekko::Backup::Policy', 'policy.yaml'],
    ] as const) {
      const used = Object.values(resources).filter((each) => each.type === type);
      expect(used.length).toBeGreaterThan(0);
      const known = Object.keys(read(file).parameters ?? {});
      for (const { properties = {} } of used) expect(known).toEqual(expect.arrayContaining(Object.keys(properties)));
    }
  },
);
