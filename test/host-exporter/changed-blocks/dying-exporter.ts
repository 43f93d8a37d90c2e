/** A process that takes a moment and holds it until it is killed: dying-exporter <monitor> <scratch> <state> <run> [agent socket]. */
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { createPoints } from './disk-model.ts';

const [qmpSocket = '', scratchDirectory = '', stateDirectory = '', run = ''] = process.argv.slice(2);
const source = await openQemuSource({ qmpSocket, scratchDirectory, stateDirectory, scratchLowWater: 1 });
await source.take(createPoints().request(run));
process.stdout.write('held\n');
setInterval(() => undefined, 60_000);
