import { type SegmentRun, segmentsOf } from '#vault/words.ts';
import { type DataMap, MAP_BLOCK } from './data-map.ts';

/** A run that begins and ends with data. */
export interface DataSpan extends SegmentRun {
  readonly dataSegments: number;
}

/** Data of one span: 8 MiB. */
const SPAN_SEGMENTS = 128;

/** All of a disk's data, in order. */
export function* spansOf(map: DataMap): Generator<DataSpan> {
  let [first, last, dataSegments] = [0, 0, 0];
  for (const segment of segmentsWithData(map)) {
    if (dataSegments === 0) first = segment;
    last = segment;
    dataSegments++;
    if (dataSegments < SPAN_SEGMENTS) continue;
    yield { first, count: last + 1 - first, dataSegments };
    dataSegments = 0;
  }
  if (dataSegments > 0) yield { first, count: last + 1 - first, dataSegments };
}

function* segmentsWithData(map: DataMap): Generator<number> {
  const end = segmentsOf(map.diskSize);
  for (let block = 0; block < end; block += MAP_BLOCK) {
    if (!map.hasAny({ first: block, count: MAP_BLOCK })) continue;
    for (let segment = block; segment < Math.min(block + MAP_BLOCK, end); segment++)
      if (map.has(segment)) yield segment;
  }
}
