import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sealPoint } from '#vault/format/point-object.ts';
import { deriveEpochKeys } from '#vault/keys/epoch-keys.ts';
import { exampleTopology } from '../example-topology.ts';

/** Makes the golden point of a format version that has a topology, once: `node test/golden/make-topology.ts`. */
const point = {
  ...{ id: '20261121-030000-aabbcc', group: 'shop', takenAt: '2026-11-21T03:00:02.000Z', disks: [] },
  topology: exampleTopology(),
};
const pieces = sealPoint(deriveEpochKeys(Buffer.alloc(32, 1), 'golden', 1), point);
const golden = { point, hex: Buffer.concat(pieces).toString('hex') };
await writeFile(join(import.meta.dirname, 'topology', 'point.json'), `${JSON.stringify(golden, null, 2)}\n`);
