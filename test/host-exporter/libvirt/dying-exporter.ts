/** A process that goes as far as a step of a moment and then hangs: dying-exporter <options as JSON> <run> <quiesce> <step>. */
import { openLibvirtSource } from '../../../host-exporter/libvirt/libvirt-source.ts';
import { createPoints } from '../changed-blocks/disk-model.ts';

const [options = '', run = '', quiesce = '', last = ''] = process.argv.slice(2);
const source = openLibvirtSource(JSON.parse(options));
const points = createPoints();
const mode = quiesce === 'require' ? 'require' : 'never';
// As a vault that has every point of everything would say: what bitmap there is is counted from.
const size = Number(process.env['DISK_SIZE']);
const request = { ...points.request(run, { quiesce: mode }), newest: () => 'r1', known: () => size };
const moment = await source.prepare(request);
for (const step of ['freeze', 'checkpoint', 'thaw', 'open'] as const) {
  if (last !== 'prepare') await moment[step]();
  if (last === step || last === 'prepare') break;
}
process.stdout.write('there\n');
setInterval(() => undefined, 60_000);
