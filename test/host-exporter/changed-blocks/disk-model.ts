import type { DiskPlan, HeldMoment, MomentRequest } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE, type SegmentRun } from '../../../functions/vault/words.ts';

/** What a vault would know, kept in memory: the sizes that disks had at each restore point. */
export interface Points {
  readonly add: (point: string, plans: readonly DiskPlan[]) => void;
  readonly request: (run: string, more?: Partial<MomentRequest>) => MomentRequest;
}

export function createPoints(): Points {
  const points = new Map<string, ReadonlyMap<string, number>>();
  return {
    add: (point, plans) => void points.set(point, new Map(plans.map(({ disk }) => [disk.name, disk.size]))),
    request: (run, more = {}) => ({
      run,
      known: (point, disk) => points.get(point)?.get(disk),
      newest: (disk) => [...points].findLast(([, disks]) => disks.has(disk))?.[0],
      readAll: undefined,
      quiesce: 'never',
      auditShare: 0,
      ...more,
    }),
  };
}

/** The plan of the disk called `name`, and its number. */
export function planOf(moment: HeldMoment, name: string): { readonly plan: DiskPlan; readonly index: number } {
  const index = moment.plans.findIndex(({ disk }) => disk.name === name);
  const plan = moment.plans[index];
  if (!plan) throw new Error(`no disk ${name}`);
  return { plan, index };
}

/** The disk as the moment shows it, put together on `base` as a restore would be. */
export async function assemble(moment: HeldMoment, name: string, base?: Buffer): Promise<Buffer> {
  const { plan, index } = planOf(moment, name);
  // Rubbish where no base is: a full plan has to list every segment.
  const image = base ? Buffer.from(base) : Buffer.alloc(plan.disk.size, 0x5a);
  for (const segment of segments(plan.zero))
    image.subarray(segment * SEGMENT_SIZE, (segment + 1) * SEGMENT_SIZE).fill(0);
  for (const segment of segments(plan.data))
    (await readSegment(moment, index, segment)).copy(image, segment * SEGMENT_SIZE);
  return image;
}

/** Every segment of the moment's disk, whatever the plan says. */
export async function readWhole(moment: HeldMoment, name: string): Promise<Buffer> {
  const { plan, index } = planOf(moment, name);
  const image = Buffer.alloc(plan.disk.size);
  const count = Math.ceil(plan.disk.size / SEGMENT_SIZE);
  for (let segment = 0; segment < count; segment += 1) {
    (await readSegment(moment, index, segment)).copy(image, segment * SEGMENT_SIZE);
  }
  return image;
}

async function readSegment(moment: HeldMoment, index: number, segment: number): Promise<Buffer> {
  const bytes = Buffer.alloc(SEGMENT_SIZE, 0x77);
  await moment.read(index, segment * SEGMENT_SIZE, SEGMENT_SIZE, bytes);
  return bytes;
}

export function segments(runs: readonly SegmentRun[]): readonly number[] {
  return runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at));
}
