import { EkkoError } from '#vault/errors.ts';
import { imageName } from '#vault/images.ts';
import type { MomentRequest, SourceDisk } from '#vault/staging/changed-block-source.ts';
import { openFileSource } from '../changed-blocks/file-source.ts';
import type { EndableMoment } from '../changed-blocks/held-moment.ts';
import type { MeasuredImage, MeasuredImages } from '../changed-blocks/measured-images.ts';
import { describeDomain } from './domain-disks.ts';
import type { LibvirtSource } from './libvirt-source.ts';
import type { PreparedMoment } from './prepared-moment.ts';
import { findServerImages } from './server-images.ts';
import type { Virsh } from './virsh.ts';

/**
 * Base images of a server as a source, by their names in a vault. They stand still by themselves: no step of a moment touches the guest. Only
 * images that the server was built on can be had: whoever may read the server may read those.
 */
export function openImageSource(
  virsh: Virsh,
  server: string,
  names: readonly string[],
  measured: MeasuredImages,
): LibvirtSource {
  async function find(): Promise<readonly MeasuredImage[]> {
    const there = await Promise.all((await findServerImages(virsh, server, measured)).map(({ measure }) => measure()));
    return names.map((name) => {
      const image = there.find(({ digest }) => imageName(digest) === name);
      if (image !== undefined) return image;
      throw new EkkoError('disk-unknown', `No disk of server ${server} was built on ${name}, as its file is now`);
    });
  }

  async function disks(): Promise<readonly SourceDisk[]> {
    const { glanceImage } = await describeDomain(virsh, server);
    return (await find()).map(({ digest, size, path }) => {
      return { name: imageName(digest), size, origin: originOf(path, glanceImage) };
    });
  }

  async function prepare(request: MomentRequest): Promise<PreparedMoment> {
    const images = await find();
    const { glanceImage } = await describeDomain(virsh, server);
    const nothing = () => Promise.resolve();
    return {
      ...{ freeze: nothing, checkpoint: nothing, thaw: nothing, cancel: nothing },
      open: () => open(images, glanceImage, request),
    };
  }

  return {
    ...{ disks, prepare },
    take: async (request) => (await prepare(request)).open() as Promise<EndableMoment>,
    cleanUp: () => Promise.resolve(),
    settle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** For people: Nova's name of the file is a digest of Glance's id. */
function originOf(path: string, glanceImage: string): string {
  return glanceImage === '' ? path : `${path} (Glance image ${glanceImage})`;
}

async function open(
  images: readonly MeasuredImage[],
  glanceImage: string,
  { image: _, ...request }: MomentRequest,
): Promise<EndableMoment> {
  // Nova sets the times of images in use; the commit compares the content with its name.
  const choices = images.map(({ path, format, digest }) => {
    return { path, format, name: imageName(digest), checkedLater: true };
  });
  const moment = await (await openFileSource(choices)).take(request);
  let held = true;
  const plans = moment.plans.map((plan) => {
    return { ...plan, disk: { ...plan.disk, origin: originOf(plan.disk.origin, glanceImage) } };
  });
  return {
    ...{ ...moment, plans },
    get held() {
      return held;
    },
    end: async (outcome) => {
      await moment.end(outcome === 'committed' ? 'committed' : 'abandoned');
      held = false;
    },
  };
}
