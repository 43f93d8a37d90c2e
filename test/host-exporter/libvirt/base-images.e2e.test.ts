import { copyFile, open, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { imageName } from '#vault/images.ts';
import { digestsOf } from '../../../host-exporter/api/describe-server.ts';
import { type MeasuredImages, openMeasuredImages } from '../../../host-exporter/changed-blocks/measured-images.ts';
import { openImageSource } from '../../../host-exporter/libvirt/image-source.ts';
import type { LibvirtSource } from '../../../host-exporter/libvirt/libvirt-source.ts';
import { lacks } from '../../setup/cache.ts';
import { assemble, createPoints, planOf, readWhole } from '../changed-blocks/disk-model.ts';
import { makeDirectory, qemuImg, qemuIo, type TestDirectory } from '../changed-blocks/running-qemu.ts';
import { type LibvirtGuest, startLibvirtGuest } from './libvirt-guest.ts';

const MIB = 1024 * 1024;
const VOLUME = '11111111-2222-4333-8444-555555555555';

describe.skipIf(lacks('libvirt'))("a guest of libvirt's on a base image", () => {
  let directory: TestDirectory;
  let guest: LibvirtGuest;
  let source: LibvirtSource;
  let root: string;
  const image = Buffer.alloc(4 * MIB).fill(0x11, 0, MIB);

  beforeEach(async () => {
    directory = await makeDirectory();
    const plain = directory.file('plain.qcow2');
    const base = directory.file('0123abcd');
    await qemuImg('create', '-q', '-f', 'qcow2', plain, '2M');
    await qemuIo(plain, 'write -P 0x11 0 1M');
    await qemuImg('convert', '-O', 'raw', plain, base);
    const overlays = ['disk', 'volume'].map((name) => directory.file(name));
    for (const overlay of overlays) {
      await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, overlay, '4M');
    }
    const [disk = '', volume = ''] = overlays;
    guest = await startLibvirtGuest({
      disks: [
        { format: 'qcow2', image: disk },
        { format: 'qcow2', image: volume, serial: VOLUME },
      ],
    });
    source = guest.open();
    root = `${guest.uuid}/root`;
  });

  afterEach(async () => {
    await source.close();
    await guest.remove();
    await directory.remove();
  });

  const known = async () => {
    const [found, ...others] = (await source.images?.()) ?? [];
    expect(others).toEqual([]);
    const digest = found?.digest ?? '';
    const kept = { name: imageName(digest), point: 'r0', size: 2 * MIB, manifest: '' };
    return { image: (asked: string) => (asked === digest ? kept : undefined) };
  };
  const exports = async () => {
    const question = JSON.stringify({ execute: 'query-block-exports' });
    const answer = JSON.parse(await guest.virsh.run(['qemu-monitor-command', guest.uuid, question]));
    return (answer as { return: { id: string }[] }).return.map(({ id }) => id);
  };
  const state = async () => (await guest.virsh.run(['domjobinfo', guest.uuid])).trim();

  test('only what its overlay holds is read of a local disk; libvirt is left with its own exports, and its job ends as ever', async () => {
    const { request } = createPoints();
    await guest.io(0, 'write -P 0x21 64k 4k');
    await guest.io(0, 'write -z 128k 64k');
    const moment = await source.take(request('r1', await known()));
    await guest.io(0, 'write -P 0xff 0 3M');
    expect(planOf(moment, root).plan).toMatchObject({
      ...{ base: 'r0', fullReason: 'first-backup' },
      ...{ data: [{ first: 1, count: 1 }], zero: [{ first: 2, count: 1 }] },
    });
    expect(planOf(moment, `${guest.uuid}/${VOLUME}`).plan).toMatchObject({ base: undefined });
    const whole = await readWhole(moment, root);
    expect((await assemble(moment, root, image)).equals(whole)).toBe(true);
    expect([whole[64 * 1024], whole[0], whole[128 * 1024]]).toEqual([0x21, 0x11, 0]);
    expect(await exports()).toHaveLength(2);
    await moment.end('committed');
    expect(await exports()).toEqual([]);
    expect(await state()).toMatch(/None/);
    expect(await guest.bitmaps()).toEqual(['disk ekko-r1', 'volume ekko-r1']);
    // Nodes of the backup are gone: libvirt makes another one, and a snapshot.
    await (await source.take(request('r2'))).end('abandoned');
    await guest.virsh.run(['snapshot-create-as', guest.uuid, 's1', '--disk-only', '--no-metadata']);
  });

  test('an image is read for a disk that must be read in full, and for none whose changes are recorded', async () => {
    const read: string[] = [];
    const measured = openMeasuredImages(undefined);
    const counted: MeasuredImages = {
      ...measured,
      measure: (path, format) => {
        read.push(path);
        return measured.measure(path, format);
      },
    };
    const digests = () => digestsOf(guest.virsh, guest.uuid, counted);
    const [digest] = (await digests()).values();
    expect([...(await digests())]).toEqual([[root, digest]]);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    read.length = 0;
    const { request } = createPoints();
    await (await source.take(request('r1'))).end('committed');
    // Nova does that to the images in use.
    await utimes(directory.file('0123abcd'), new Date(), new Date());
    expect([...(await digests())]).toEqual([]);
    expect(await source.images?.()).toEqual([]);
    expect(read).toEqual([]);
    // The image itself can be had all the same.
    const name = imageName(digest ?? '');
    const itself = openImageSource(guest.virsh, guest.uuid, [name], counted);
    expect(await itself.disks()).toMatchObject([{ name }]);
    const moment = await itself.take(request('r2'));
    await utimes(directory.file('0123abcd'), new Date(), new Date());
    expect((await readWhole(moment, name)).equals(image.subarray(0, 2 * MIB))).toBe(true);
    await moment.end('committed');
    await source.settle('r1', 'abandoned');
    expect([...(await digests())]).toEqual([[root, digest]]);
  });

  test('an exporter that dies while depths are shown leaves nothing that would keep the backup from ending', async () => {
    const { request } = createPoints();
    const image = await known();
    const moment = await source.take(request('r1', image));
    const question = JSON.stringify({ execute: 'query-named-block-nodes', arguments: { flat: true } });
    const answer = JSON.parse(await guest.virsh.run(['qemu-monitor-command', guest.uuid, question]));
    const nodes = (answer as { return: { file: string; drv: string; 'node-name': string }[] }).return;
    const scratch = nodes.find(({ file, drv }) => file.startsWith(guest.directory.scratch) && drv === 'qcow2');
    const id = 'ekko-depth-vda';
    const options = { id, type: 'nbd', name: id, 'node-name': scratch?.['node-name'], 'allocation-depth': true };
    const add = JSON.stringify({ execute: 'block-export-add', arguments: options });
    await guest.virsh.run(['qemu-monitor-command', guest.uuid, add]);
    expect(await exports()).toHaveLength(3);
    const next = guest.open();
    await next.cleanUp();
    expect(await exports()).toEqual([]);
    expect(await state()).toMatch(/None/);
    const again = await next.take(request('r2', image));
    expect(planOf(again, root).plan).toMatchObject({ base: 'r0' });
    await again.end('committed');
    await moment.end('abandoned').catch(() => undefined);
    await next.close();
  });

  test('a disk is not planned on a file that no QEMU has open, though it lies where the image lay', async () => {
    const { request } = createPoints();
    const base = directory.file('0123abcd');
    const twin = directory.file('twin');
    await copyFile(base, twin);
    const image = await known();
    await rename(twin, base);
    // Read again, it has the same digest.
    expect((await known()).image).toBeTypeOf('function');
    const moment = await source.take(request('r1', image));
    expect(planOf(moment, root).plan).toMatchObject({ base: undefined, fullReason: 'first-backup' });
    await moment.end('abandoned');
  });

  test('a disk is planned on an image that Nova has touched since it was measured: it is read again', async () => {
    const { request } = createPoints();
    const image = await known();
    await utimes(directory.file('0123abcd'), new Date(), new Date());
    const moment = await source.take(request('r1', image));
    expect(planOf(moment, root).plan).toMatchObject({ base: 'r0' });
    await moment.end('abandoned');
  });

  test('and not on one whose content has changed since', async () => {
    const { request } = createPoints();
    const image = await known();
    // Past QEMU, which does not look for it.
    const file = await open(directory.file('0123abcd'), 'r+');
    await file.write(Buffer.of(0xee), 0, 1, 3);
    await file.close();
    const moment = await source.take(request('r1', image));
    expect(planOf(moment, root).plan).toMatchObject({ base: undefined });
    await moment.end('abandoned');
  });

  test('a snapshot between disk and image belongs to the disk', async () => {
    const { request } = createPoints();
    await guest.io(0, 'write -P 0x31 64k 64k');
    const overlay = join(directory.path, 'disk.snap');
    const spec = ['--diskspec', `vda,file=${overlay}`, '--diskspec', 'vdb,snapshot=no'];
    await guest.virsh.run(['snapshot-create-as', guest.uuid, 's1', '--disk-only', '--no-metadata', ...spec]);
    await guest.io(0, 'write -P 0x32 256k 64k');
    const moment = await source.take(request('r1', await known()));
    expect(planOf(moment, root).plan).toMatchObject({
      base: 'r0',
      data: [
        { first: 1, count: 1 },
        { first: 4, count: 1 },
      ],
    });
    expect((await assemble(moment, root, image)).equals(await readWhole(moment, root))).toBe(true);
    await moment.end('abandoned');
  });
});
