import { EkkoError } from '#vault/errors.ts';
import type { ChangedBlockSource, HeldMoment, MomentRequest } from '#vault/staging/changed-block-source.ts';
import { bytesInside } from '#vault/staging/read-span.ts';
import { layersOfFile } from './file-layers.ts';
import { type FileChoice, findFile } from './find-file.ts';
import type { FoundFile, HeldFile } from './held-file.ts';
import { measureBases } from './image-base.ts';
import { type MeasuredImages, openMeasuredImages } from './measured-images.ts';
import { holdQcow2File } from './qcow2-file.ts';
import { holdRawFile } from './raw-file.ts';

/**
 * Files and block devices that nobody writes: raw disks, detached volumes, images of guests that are shut off. Everything that is not
 * a hole is read; dedupe by content keeps the export small. Throws `disk-unknown`, and `bad-input` for what is no disk or a name given twice.
 * `stateDirectory`: where digests of base images are kept, if they are to be.
 */
export async function openFileSource(
  choices: readonly FileChoice[],
  stateDirectory?: string,
): Promise<ChangedBlockSource> {
  const images = openMeasuredImages(stateDirectory);
  const names = new Set<string>();
  for (const { disk } of await findAll(choices)) {
    if (names.has(disk.name)) throw new EkkoError('bad-input', `Two disks are called "${disk.name}": name them apart`);
    names.add(disk.name);
  }
  const moments = new Set<HeldMoment>();

  async function take(request: MomentRequest): Promise<HeldMoment> {
    const files: HeldFile[] = [];
    try {
      for (const found of await findAll(choices)) files.push(await hold(found, request, images));
    } catch (error) {
      await closeAll(files);
      throw error;
    }
    const moment: HeldMoment = createMoment(files, () => moments.delete(moment));
    moments.add(moment);
    return moment;
  }

  return {
    disks: async () => (await findAll(choices)).map(({ disk }) => disk),
    images: async () => measureBases(images, await chainsOf(choices)),
    take,
    close: async () => {
      for (const moment of moments) await moment.end('abandoned');
    },
  };
}

function findAll(choices: readonly FileChoice[]): Promise<readonly FoundFile[]> {
  return Promise.all(choices.map(findFile));
}

async function chainsOf(choices: readonly FileChoice[]) {
  const overlays = (await findAll(choices)).filter(({ format }) => format === 'qcow2');
  return Promise.all(overlays.map(({ path }) => layersOfFile(path)));
}

function hold(found: FoundFile, request: MomentRequest, images: MeasuredImages): Promise<HeldFile> {
  return found.format === 'qcow2' ? holdQcow2File(found, request, images) : holdRawFile(found, request);
}

function createMoment(files: readonly HeldFile[], onEnd: () => void): HeldMoment {
  let ending: Promise<void> | undefined;
  const plans = files.map(({ plan }) => plan);

  async function read(index: number, offset: number, length: number, into: Uint8Array): Promise<void> {
    const inside = bytesInside(plans[index], offset, length, into);
    if (ending) throw new EkkoError('qemu-failed', `The moment of ${plans[index]?.disk.origin} has ended`);
    if (inside > 0) await files[index]?.read(offset, inside, into);
    into.fill(0, inside, length);
  }

  function end(): Promise<void> {
    ending ??= closeAll(files).finally(onEnd);
    return ending;
  }

  return {
    ...{ plans, read, end },
    place: (index) => files[index]?.place,
    takenAt: new Date(),
    consistency: 'crash',
    consistencyNote: 'files are read as they lie; nothing was quiesced',
    frozenMs: 0,
  };
}

async function closeAll(files: readonly HeldFile[]): Promise<void> {
  for (const file of files) await file.close();
}
