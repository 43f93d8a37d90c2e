import { pathToFileURL } from 'node:url';
import { CONTENT_NAMED } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { readDescription } from '#vault/vault.ts';
import { bundlePath } from '../../host/bundles.ts';
import type { VerifyReport } from '../../verifier/report.ts';
import { type VerifyRequest, verifyVault } from '../../verifier/verify-vault.ts';
import { watchSignals } from '../interruption.ts';
import { openWholeVault } from '../open-command-vault.ts';
import { openProgress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';

/**
 * Checks all that lies in a vault. With a key also the journal from its first entry, and that every restore point is complete.
 * Throws what opening the vault throws, and `Interrupted`.
 */
export async function verify(url: string, keyless: boolean, context: CommandContext): Promise<VerifyReport> {
  const { screen } = context;
  const { signal, ignore } = watchSignals(() => screen.remark('Ending.'));
  const store = openStore(url);
  const progress = await openProgress(screen, 'Checking', signal);
  try {
    const subject = await (keyless ? withoutKey(store) : withKey(store, context));
    const totalBytes = await sizeOfObjects(store);
    return await verifyVault({
      ...{ store, ...subject, signal },
      threads: { entry: pathToFileURL(bundlePath('verify-worker')) },
      onProgress: ({ bytes }) => progress.update(bytes, totalBytes),
    });
  } finally {
    progress.end();
    ignore();
  }
}

type Subject = Pick<VerifyRequest, 'keyring' | 'points'>;

async function withoutKey(store: ObjectStore): Promise<Subject> {
  await readDescription(store);
  return { keyring: undefined, points: [] };
}

async function withKey(store: ObjectStore, context: CommandContext): Promise<Subject> {
  const { keyring, journal } = await openWholeVault(store, context);
  return { keyring, points: [...journal.state().points.values()] };
}

async function sizeOfObjects(store: ObjectStore): Promise<number> {
  let total = 0;
  for (const folder of CONTENT_NAMED) for await (const { size } of store.list(folder)) total += size;
  return total;
}
