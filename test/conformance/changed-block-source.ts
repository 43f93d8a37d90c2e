import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChangedBlockSource, DiskPlan } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE } from '../../functions/vault/words.ts';
import {
  assemble,
  createPoints,
  type Points,
  readWhole,
  segments,
} from '../host-exporter/changed-blocks/disk-model.ts';

/** A source over one disk that the suite can write to, as a guest or an owner would. */
export interface SourceRig {
  readonly source: ChangedBlockSource;
  readonly diskName: string;
  /** In bytes; not a multiple of a segment. All zero at first. */
  readonly size: number;
  fill(offset: number, length: number, byte: number): Promise<void>;
  remove(): Promise<void>;
}

/** What every ChangedBlockSource keeps to. */
export function testChangedBlockSource(title: string, openRig: () => Promise<SourceRig>): void {
  describe(`changed block source: ${title}`, () => {
    let rig: SourceRig;
    let points: Points;
    let content: Buffer;

    beforeEach(async () => {
      rig = await openRig();
      points = createPoints();
      content = Buffer.alloc(rig.size);
      await write(SEGMENT_SIZE, 3 * SEGMENT_SIZE, 0x31);
      await write(rig.size - 512, 512, 0x32);
    });

    afterEach(async () => {
      await rig.source.close();
      await rig.remove();
    });

    async function write(offset: number, length: number, byte: number): Promise<void> {
      await rig.fill(offset, length, byte);
      content.fill(byte, offset, offset + length);
    }

    test('its disks have names and sizes, and looking changes nothing', async () => {
      const disks = await rig.source.disks();
      expect(disks).toMatchObject([{ name: rig.diskName, size: rig.size }]);
      expect(await rig.source.disks()).toEqual(disks);
    });

    test('a first backup lists every segment once, in order, and shows the disk', async () => {
      const moment = await rig.source.take(points.request('r1'));
      const [plan] = moment.plans;
      expect(plan).toMatchObject({ base: undefined, fullReason: 'first-backup', audit: [] });
      checkRuns(plan);
      const listed = [...segments(plan?.data ?? []), ...segments(plan?.zero ?? [])].toSorted((a, b) => a - b);
      expect(listed).toEqual(Array.from({ length: Math.ceil(rig.size / SEGMENT_SIZE) }, (_, segment) => segment));
      expect((await assemble(moment, rig.diskName)).equals(content)).toBe(true);
      await moment.end('committed');
    });

    test('a later point put together on the one before is the disk again', async () => {
      let base: Buffer | undefined;
      for (const run of ['r1', 'r2', 'r3']) {
        const moment = await rig.source.take(points.request(run, { auditShare: 0.5 }));
        checkRuns(moment.plans[0]);
        const whole = await assemble(moment, rig.diskName, moment.plans[0]?.base === undefined ? undefined : base);
        expect(whole.equals(content)).toBe(true);
        points.add(run, moment.plans);
        await moment.end('committed');
        base = whole;
        await write(2 * SEGMENT_SIZE, 512, run.charCodeAt(1));
        await write(0, 1024, run.charCodeAt(1));
      }
    });

    test('an abandoned run loses nothing', async () => {
      const first = await rig.source.take(points.request('r1'));
      const base = await assemble(first, rig.diskName);
      points.add('r1', first.plans);
      await first.end('committed');
      await write(0, SEGMENT_SIZE, 0x41);
      await (await rig.source.take(points.request('r2'))).end('abandoned');
      await write(5 * SEGMENT_SIZE, SEGMENT_SIZE, 0x42);
      const moment = await rig.source.take(points.request('r3'));
      const on = moment.plans[0]?.base === undefined ? undefined : base;
      expect((await assemble(moment, rig.diskName, on)).equals(content)).toBe(true);
    });

    test('reads may overlap, and bytes past the end are zeros', async () => {
      const moment = await rig.source.take(points.request('r1'));
      const whole = await Promise.all([1, 2, 3, 4].map(() => readWhole(moment, rig.diskName)));
      for (const one of whole) expect(one.equals(content)).toBe(true);
      const last = Math.floor(rig.size / SEGMENT_SIZE) * SEGMENT_SIZE;
      const bytes = Buffer.alloc(2 * SEGMENT_SIZE, 0x77);
      await moment.read(0, last, bytes.length, bytes);
      expect(bytes.equals(Buffer.concat([content.subarray(last), Buffer.alloc(bytes.length)], bytes.length))).toBe(
        true,
      );
    });

    test('reads that make no sense are refused', async () => {
      const moment = await rig.source.take(points.request('r1'));
      const bytes = Buffer.alloc(SEGMENT_SIZE);
      await expect(moment.read(1, 0, SEGMENT_SIZE, bytes)).rejects.toMatchObject({ code: 'disk-unknown' });
      for (const [offset, length] of [
        [1, 1],
        [0, 2 * SEGMENT_SIZE],
        [0, 0],
        [-SEGMENT_SIZE, 1],
      ] as const) {
        await expect(moment.read(0, offset, length, bytes)).rejects.toMatchObject({ code: 'bad-input' });
      }
    });

    test('ending is idempotent, a read after the end fails, and the next moment can be taken', async () => {
      const moment = await rig.source.take(points.request('r1'));
      await Promise.all([moment.end('abandoned'), moment.end('abandoned')]);
      await moment.end('abandoned');
      const bytes = Buffer.alloc(SEGMENT_SIZE);
      await expect(moment.read(0, SEGMENT_SIZE, SEGMENT_SIZE, bytes)).rejects.toMatchObject({ code: 'qemu-failed' });
      await (await rig.source.take(points.request('r2'))).end('committed');
    });

    test('a full read can be asked for, with its reason', async () => {
      const first = await rig.source.take(points.request('r1'));
      points.add('r1', first.plans);
      await first.end('committed');
      const moment = await rig.source.take(points.request('r2', { readAll: 'bitmap-distrusted' }));
      expect(moment.plans).toMatchObject([{ base: undefined, fullReason: 'bitmap-distrusted' }]);
    });

    test('closing with a moment still held ends it', async () => {
      const moment = await rig.source.take(points.request('r1'));
      await rig.source.close();
      await expect(readWhole(moment, rig.diskName)).rejects.toMatchObject({ code: 'qemu-failed' });
    });
  });
}

/** Runs ascend, do not touch, lie within the disk; data, zero and audit share no segment. */
function checkRuns(plan: DiskPlan | undefined): void {
  if (!plan) throw new Error('no plan');
  for (const runs of [plan.data, plan.zero, plan.audit]) {
    let end = -1;
    for (const { first, count } of runs) {
      expect(first).toBeGreaterThan(end);
      expect(count).toBeGreaterThan(0);
      end = first + count;
    }
    expect(end).toBeLessThanOrEqual(Math.ceil(plan.disk.size / SEGMENT_SIZE));
  }
  const all = [plan.data, plan.zero, plan.audit].flatMap(segments);
  expect(new Set(all).size).toBe(all.length);
}
