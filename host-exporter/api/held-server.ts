import pLimit from 'p-limit';
import { EkkoError } from '#vault/errors.ts';
import type { MomentRequest } from '#vault/staging/changed-block-source.ts';
import type { EndableMoment, Outcome } from '../changed-blocks/held-moment.ts';
import type { LibvirtSource } from '../libvirt/libvirt-source.ts';
import type { PreparedMoment } from '../libvirt/prepared-moment.ts';

/** What a run holds of a server in QEMU, from its preparation to its end. */
export interface HeldServer {
  /** True while there is a moment, or one is prepared. */
  readonly holding: boolean;
  prepare(request: MomentRequest): Promise<void>;
  /** Throws `busy` where nothing is prepared any more. */
  steps(): PreparedMoment;
  /** Plans what is to be read, once. */
  open(): Promise<EndableMoment>;
  /** Lets go of the guest, whatever is held of it; may be called twice at once. Resolves to false when there was no moment whose bitmaps could be settled. */
  letGo(outcome: Outcome): Promise<boolean>;
}

export function createHeldServer(source: LibvirtSource): HeldServer {
  let prepared: PreparedMoment | undefined;
  let opening: Promise<EndableMoment> | undefined;
  /** An exporter that is stopped lets go beside the step that fails by it. */
  const oneAtATime = pLimit(1);

  function steps(): PreparedMoment {
    if (prepared !== undefined) return prepared;
    throw new EkkoError('busy', 'The moment is not held any more');
  }

  async function letGo(outcome: Outcome): Promise<boolean> {
    const moment = await opening?.catch(() => undefined);
    const settled = moment?.held === true;
    if (settled) await moment.end(outcome);
    else if (moment === undefined) await prepared?.cancel();
    [prepared, opening] = [undefined, undefined];
    return settled;
  }

  return {
    get holding() {
      return prepared !== undefined;
    },
    prepare: async (request) => {
      prepared ??= await source.prepare(request);
    },
    steps,
    open: () => {
      opening ??= steps().open();
      return opening;
    },
    letGo: (outcome) => oneAtATime(() => letGo(outcome)),
  };
}
