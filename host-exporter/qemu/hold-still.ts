import { type FreezeOptions, notStill, prepareFreeze } from './freeze.ts';

/** How the moment was held, and what it gave. */
export interface Stillness<T> {
  readonly result: T;
  readonly frozen: boolean;
  readonly note: string;
  readonly frozenMs: number;
}

/**
 * Freezes the guest, does `work`, thaws until thawed. A guest that cannot be frozen is thawed first (the freeze may still come), then
 * `work` is done all the same, unless `required`. Throws `qemu-failed` when it is required and fails, or when the guest stays frozen.
 */
export async function holdStill<T>(
  options: FreezeOptions,
  required: boolean,
  work: () => Promise<T>,
): Promise<Stillness<T>> {
  const freeze = await (await prepareFreeze(options)).freeze();
  if (!freeze.frozen) {
    if (required) throw notStill(freeze.note);
    return { result: await work(), frozen: false, note: freeze.note, frozenMs: 0 };
  }
  const result = await work().catch(async (error: unknown) => {
    await freeze.settled();
    throw error;
  });
  const { frozen, note, frozenMs } = await freeze.thaw();
  await freeze.settled();
  if (required && !frozen) throw notStill(note);
  return { result, frozen, note, frozenMs };
}
