import { RUNS_PER_PART } from '../format/receipt.ts';
import { type PartRun, RunKind } from '../format/staged-part.ts';
import { SEGMENTS_PER_PART } from '../words.ts';

/** Room for what one more step lists, and for each segment of data to be a run of its own because its neighbours are known, or zero. */
const MOST_STRETCHES = RUNS_PER_PART - SEGMENTS_PER_PART - 64;

/** The runs that a part lists, joined where they meet. */
export interface RunList {
  readonly listed: readonly PartRun[];
  /** No room for more. Decided as if nothing were known: see `PartBuilder.full`. */
  readonly full: boolean;
  list(kind: RunKind, first: number, count: number): void;
}

export function newRunList(): RunList {
  const listed: PartRun[] = [];
  let stretches = 0;
  return {
    listed,
    get full() {
      return stretches >= MOST_STRETCHES;
    },
    list(kind, first, count) {
      const last = listed.at(-1);
      const adjoins = last !== undefined && last.first + last.count === first;
      if (adjoins && last.kind === kind) listed[listed.length - 1] = { ...last, count: last.count + count };
      else listed.push({ kind, first, count });
      if (!adjoins || asSent(last.kind) !== asSent(kind)) stretches++;
    },
  };
}

function asSent(kind: RunKind): RunKind {
  return kind === RunKind.known ? RunKind.data : kind;
}
