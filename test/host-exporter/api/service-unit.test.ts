import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { checkout } from '../../setup/cache.ts';

const read = (name: string) => readFile(join(checkout, 'host-exporter', name), 'utf8');

test('the unit lets the watchdog outlive the exporter, and gives it one capability and no home', async () => {
  const lines = (await read('ekko-exporter.service')).split('\n');
  for (const line of [
    'KillMode=process',
    'Restart=always',
    'CapabilityBoundingSet=CAP_DAC_OVERRIDE',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'ProtectHome=yes',
  ]) {
    expect(lines).toContain(line);
  }
});

test('the example’s settings are those that there are', async () => {
  const example = parse(await read('exporter.example.yaml')) as object;
  const source = await read('api/exporter-settings.ts');
  for (const name of Object.keys(example)) expect(source).toContain(`readonly ${name}`);
});
