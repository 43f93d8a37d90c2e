/** A process that holds a moment until it breaks, says why, and ends it: filling-exporter <options as JSON>. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openLibvirtSource } from '../../../host-exporter/libvirt/libvirt-source.ts';
import { createPoints } from '../changed-blocks/disk-model.ts';

const source = openLibvirtSource(JSON.parse(process.argv[2] ?? ''));
const moment = await source.take(createPoints().request('r1'));
process.stdout.write('held\n');
const bytes = Buffer.alloc(65_536);
for (let broken = false; !broken; await sleep(50)) {
  broken = await moment.read(1, 0, bytes.length, bytes).then(
    () => false,
    (error: unknown) => {
      process.stdout.write(`${String(error)}\n`);
      return true;
    },
  );
}
await moment.end('abandoned');
process.stdout.write('ended\n');
