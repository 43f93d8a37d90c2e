import { expect, test } from 'vitest';
import { backupDocument, checkpointDocument } from '../../../host-exporter/libvirt/backup-documents.ts';
import { parseDomain } from '../../../host-exporter/libvirt/domain.ts';
import { diskName } from '../../../host-exporter/libvirt/domain-disks.ts';

const UUID = '0d8c1f6e-2a5b-4c3d-9e8f-112233445566';
const VOLUME = '8A1B2C3D-1111-4222-8333-444455556666';

/** As Nova's libvirt driver of Zed wrote it, cut down to what is read. */
const NOVA = `<domain type='kvm' id='3'>
  <name>instance-00000003</name>
  <uuid>${UUID}</uuid>
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
      <nova:name>web &lt;1&gt; &amp; co</nova:name>
      <nova:owner>
        <nova:user uuid="u">demo</nova:user>
        <nova:project uuid="8c7d">demo</nova:project>
      </nova:owner>
      <nova:root type="image" uuid="i"/>
    </nova:instance>
  </metadata>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='/instances/${UUID}/disk' index='2'/>
      <backingStore type='file' index='3'>
        <format type='raw'/>
        <source file='/instances/_base/aabbcc'/>
        <backingStore/>
      </backingStore>
      <target dev='vda' bus='virtio'/>
      <address type='pci' slot='0x04'/>
    </disk>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw' iothread='1'/>
      <source protocol='rbd' name='volumes/volume-1' index='1'><host name='mon'/></source>
      <backingStore/>
      <target dev='sda' bus='scsi'/>
      <serial>${VOLUME}</serial>
      <address type='drive' controller='0' bus='0' target='0' unit='0'/>
    </disk>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/instances/${UUID}/disk.eph0'/>
      <target dev='vdb' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><source file='/config.iso'/><target dev='hda' bus='ide'/><readonly/></disk>
    <disk type='file' device='cdrom'><target dev='hdb' bus='ide'/></disk>
    <controller type='scsi' index='0'><driver iothread='1'/></controller>
  </devices>
</domain>`;

test('a server of Nova: its owner, its volumes by serial, its root disk and the image below it', () => {
  const domain = parseDomain(NOVA);
  expect(domain).toMatchObject({ uuid: UUID, name: 'instance-00000003', serverName: 'web <1> & co', project: '8c7d' });
  expect(domain.disks).toMatchObject([
    { device: 'vda', format: 'qcow2', base: 'aabbcc', index: 2, volume: undefined, hasThread: false },
    { device: 'sda', image: 'rbd:volumes/volume-1', volume: VOLUME.toLowerCase(), hasThread: true },
    { device: 'vdb', base: undefined, index: undefined, hasThread: false },
  ]);
  expect(domain.disks.map((disk) => diskName(domain, disk))).toEqual([
    `${UUID}/root`,
    `${UUID}/${VOLUME.toLowerCase()}`,
    `${UUID}/vdb`,
  ]);
});

test('a guest without metadata belongs to nobody', () => {
  const xml = `<domain><name>x</name><uuid>${UUID}</uuid><devices/></domain>`;
  expect(parseDomain(xml)).toMatchObject({ project: '', serverName: '', disks: [] });
});

test.each(['', '<domain/>', '<domain><uuid>x</uuid></domain>', 'no xml', '<a><b/></a>'])('%j is no domain', (xml) => {
  expect(() => parseDomain(xml)).toThrow(expect.objectContaining({ code: 'bad-format' }));
});

test('the documents that libvirt is given', () => {
  const [disk] = parseDomain(NOVA).disks.map((one) => ({
    ...one,
    name: 'n',
    size: 1,
    keepsBitmaps: true,
    bitmaps: [],
    layers: [],
  }));
  if (disk === undefined) throw new Error('no disk');
  const full = { disk, parent: { bitmap: undefined, reason: 'first-backup' }, file: "/s/<a&'" } as const;
  const counted = { disk, parent: { bitmap: 'ekko-r1', point: 'r1' }, file: '/s/b' } as const;
  const document = backupDocument('/s/nbd', [full, counted]);
  expect(document).toContain('<server transport="unix" socket="/s/nbd"/>');
  expect(document).toContain('backupmode="full"');
  expect(document).toContain('backupmode="incremental" incremental="ekko-r1" exportbitmap="ekko-changes"');
  expect(document).not.toContain('<a&');
  expect(checkpointDocument('ekko-r2', ['vda'])).toContain('<disk name="vda" checkpoint="bitmap" bitmap="ekko-r2"/>');
});
