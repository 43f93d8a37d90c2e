import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopServices } from './service.ts';

/**
 * Vitest's global set-up: gives the run a folder for its servers, and ends them all when the run ends. Servers of a folder that
 * EKKO_TEST_SERVICES names already are used, and left as they are: for work against a cloud that is up.
 */
export default async function setUp(): Promise<() => Promise<void>> {
  if (process.env['EKKO_TEST_SERVICES'] !== undefined) return async () => undefined;
  const folder = await mkdtemp(join(tmpdir(), 'ekko-services-'));
  process.env['EKKO_TEST_SERVICES'] = folder;
  return () => stopServices(folder);
}
