import { segmentId } from '#vault/dedupe/segment-id.ts';
import { samplesOf } from '#vault/dedupe/similarity.ts';
import {
  abandoner,
  committing,
  expirer,
  exporting,
  holdingReader,
  legalHolder,
  moving,
  processing,
  reader,
  rudeSweeping,
  script,
  sweeping,
  undeleter,
} from './actors.ts';
import { newChecker } from './checker.ts';
import type { Question } from './explore.ts';
import { judgeFinale } from './finale.ts';
import type { Place, Script } from './scheduler.ts';
import { newWorld, type StagedRun, segmentOf, type World } from './world.ts';

/** A vault, and who works in it at the same time. */
export interface Scenario {
  readonly name: string;
  /** Who takes part, made for the world as `prepare` left it. */
  readonly prepare: (world: World) => Promise<readonly Script[]>;
  /** Ends that must have been seen, or the scenario does not show what it is for. */
  readonly sees: readonly string[];
}

/** What is to be explored of a scenario; with `spoil`, by spoilt actors. */
export async function questionOf(scenario: Scenario, faults: number, spoil: Place['spoil'] = {}): Promise<Question> {
  const world = await newWorld();
  const scripts = await scenario.prepare(world);
  const place = { ...(await world.place()), spoil };
  const checker = newChecker(place, world.truths);
  return {
    place,
    faults,
    scripts,
    invariant: checker.problemIn,
    stateOf: checker.stateOf,
    final: (version) => judgeFinale(place, checker, version),
  };
}

function writer(name: string, { run, parts }: StagedRun): Script {
  return script(name, ...parts.map((key) => processing(key)), committing(run));
}

function readerOf(world: World, point: string): Script {
  return reader(point, world.truths.get(point) ?? []);
}

/** Two contents, the second of which is the one that the sample of a pack with both of them tells of. */
function sampledSecond({ vault }: World): readonly [number, number] {
  const [a, b] = [1, 2].map((content) => segmentId(vault.keyring.newest, segmentOf(content)));
  return a !== undefined && b !== undefined && samplesOf([a, b])[0] === a.toString('hex') ? [2, 1] : [1, 2];
}

/** A disk of which only the first segment is still needed: its pack is sparse, and the sample of the pack is of the second. */
async function sparsePack(
  world: World,
): Promise<{ readonly needed: number; readonly dead: number; readonly point: string }> {
  const [needed, dead] = sampledSecond(world);
  const first = await world.backup({ disk: 'p', contents: [needed, dead] });
  const point = await world.backup({ disk: 'p', contents: [needed, 3], base: first });
  await world.expire(first);
  await world.sweep();
  return { needed, dead, point };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a writer that shares content with an expired point, a sweep, and a reader of that point',
    async prepare(world) {
      const p = await world.backup({ disk: 'p', contents: [1, 2] });
      await world.expire(p);
      const a = await world.stage({ disk: 'a', contents: [1, 2] });
      return [writer('writer', a), script('sweeper', rudeSweeping), readerOf(world, p)];
    },
    sees: [
      'writer, commit: done',
      'writer, commit: condemned',
      'reader, restore: done',
      'reader, restore: point-unknown',
    ],
  },
  {
    name: 'two writers that share content with each other, and a sweep',
    async prepare(world) {
      const a = await world.stage({ disk: 'a', contents: [1] });
      const b = await world.stage({ disk: 'b', contents: [1] });
      return [writer('writer A', a), writer('writer B', b), script('sweeper', rudeSweeping)];
    },
    sees: ['writer A, commit: done', 'writer A, commit: condemned', 'writer B, commit: condemned'],
  },
  {
    name: 'a writer that counts from a point which expires and is swept',
    async prepare(world) {
      const p = await world.backup({ disk: 'd', contents: [1, 2] });
      const a = await world.stage({ disk: 'd', contents: [1, 3], base: p });
      return [writer('writer', a), expirer(p), script('sweeper', rudeSweeping)];
    },
    sees: ['writer, commit: done', 'writer, commit: part-refused'],
  },
  {
    name: 'a mover beside a writer that shares what it moves and what it leaves, and a reader',
    async prepare(world) {
      const { needed, dead, point } = await sparsePack(world);
      const a = await world.stage({ disk: 'a', contents: [needed, dead] });
      return [script('mover', moving), writer('writer', a), readerOf(world, point)];
    },
    sees: ['mover, move: done', 'writer, commit: done', 'reader, restore: done'],
  },
  {
    name: 'a mover and a sweep beside a reader without a hold',
    async prepare(world) {
      const { point } = await sparsePack(world);
      return [script('mover', moving), script('sweeper', rudeSweeping), readerOf(world, point)];
    },
    sees: ['mover, move: done', 'reader, restore: done'],
  },
  {
    name: 'a mover, then a sweep, beside a writer that was deduped against what is moved',
    async prepare(world) {
      const { needed, dead } = await sparsePack(world);
      const a = await world.stage({ disk: 'a', contents: [needed, dead] });
      await world.process(a);
      return [script('mover', moving, rudeSweeping), script('writer', committing(a.run))];
    },
    sees: ['writer, commit: done', 'writer, commit: condemned'],
  },
  {
    name: 'somebody abandons a run that is being processed and committed, and a sweep with its manners',
    async prepare(world) {
      const a = await world.stage({ disk: 'a', contents: [1] });
      const refusals = ['run-ended', 'object-missing', 'run-incomplete'] as const;
      const [part = ''] = a.parts;
      return [
        script('writer', processing(part, ['object-missing']), committing(a.run, refusals)),
        abandoner(a.run),
        script('sweeper', sweeping),
      ];
    },
    sees: ['writer, commit: done', 'writer, commit: run-ended'],
  },
  {
    name: 'two sweeps and a commit',
    async prepare(world) {
      const p = await world.backup({ disk: 'p', contents: [1] });
      await world.expire(p);
      const a = await world.stage({ disk: 'a', contents: [1] });
      await world.process(a);
      return [
        script('sweeper', rudeSweeping),
        script('other sweeper', rudeSweeping),
        script('writer', committing(a.run)),
      ];
    },
    sees: ['writer, commit: done', 'writer, commit: condemned'],
  },
  {
    name: 'undelete, expire and a legal hold against a sweep',
    async prepare(world) {
      const p = await world.backup({ disk: 'p', contents: [1] });
      await world.expire(p);
      return [undeleter(p), legalHolder(p), expirer(p), script('sweeper', sweeping)];
    },
    sees: [
      'undeleter, points-undeleted: done',
      'undeleter, points-undeleted: point-unknown',
      'expirer, points-expired: held',
    ],
  },
  {
    name: 'a reader with a hold against expiry and a sweep',
    async prepare(world) {
      const p = await world.backup({ disk: 'p', contents: [1] });
      return [holdingReader(p, world.truths.get(p) ?? []), expirer(p), script('sweeper', sweeping, sweeping)];
    },
    sees: ['reader, restore: done', 'reader, restore: point-unknown'],
  },
  {
    name: 'a part that is processed twice at once, and a commit that does not wait for it',
    async prepare(world) {
      const a = await world.stage({ disk: 'a', contents: [1, 2], partSegments: 1 });
      const [first = '', second = ''] = a.parts;
      const gone = ['object-missing'] as const;
      return [
        script('processor', processing(first, gone), processing(second, gone)),
        script('other processor', processing(second, gone)),
        script('committer', committing(a.run, ['run-incomplete', 'run-ended'])),
      ];
    },
    sees: ['committer, commit: done', 'committer, commit: run-incomplete'],
  },
  {
    name: 'a run that starts while a sweep with its manners takes the left-overs of an abandoned one',
    async prepare(world) {
      const left = await world.stage({ disk: 'x', contents: [1] });
      await world.process(left);
      await world.vault.journal.append(() => ({
        type: 'run-abandoned',
        run: left.run,
        reason: 'test',
        at: '2026-01-02T03:04:05.000Z',
      }));
      const a = await world.prepare({ disk: 'a', contents: [1] });
      const [[part] = ['']] = a.parts;
      return [script('writer', ...exporting(a), processing(part), committing(a.run)), script('sweeper', sweeping)];
    },
    sees: ['writer, commit: done'],
  },
  {
    name: 'a writer and a sweep with its manners, after a sweep that died before it removed what it had condemned',
    async prepare(world) {
      const p = await world.backup({ disk: 'p', contents: [1, 2] });
      await world.expire(p);
      await world.sweepUnfinished();
      const a = await world.stage({ disk: 'a', contents: [1, 2] });
      const [part = ''] = a.parts;
      // Nothing of what the run needs may be taken from it: it has no reason to fail.
      return [script('writer', processing(part), committing(a.run, ['run-ended'])), script('sweeper', sweeping)];
    },
    sees: ['writer, commit: done'],
  },
  {
    name: 'two writers, a mover, a sweep and a reader at once',
    async prepare(world) {
      const { needed, dead, point } = await sparsePack(world);
      const a = await world.stage({ disk: 'a', contents: [needed, dead] });
      await world.process(a);
      const b = await world.stage({ disk: 'b', contents: [dead] });
      return [
        script('writer A', committing(a.run)),
        writer('writer B', b),
        script('mover', moving),
        script('sweeper', rudeSweeping),
        readerOf(world, point),
      ];
    },
    sees: ['writer A, commit: done', 'writer A, commit: condemned', 'writer B, commit: done', 'mover, move: done'],
  },
  {
    name: 'two commits, a mover, a sweep and a reader at once',
    async prepare(world) {
      const { needed, dead, point } = await sparsePack(world);
      const a = await world.stage({ disk: 'a', contents: [needed, dead] });
      await world.process(a);
      const b = await world.stage({ disk: 'b', contents: [dead] });
      await world.process(b);
      return [
        script('writer A', committing(a.run)),
        script('writer B', committing(b.run)),
        script('mover', moving),
        script('sweeper', rudeSweeping),
        readerOf(world, point),
      ];
    },
    sees: ['writer A, commit: done', 'writer A, commit: condemned', 'writer B, commit: done', 'mover, move: done'],
  },
];
