/** One exploration: of a scenario, with so many crashes. */
export interface Proof {
  /** The beginning of its name. */
  readonly scenario: string;
  /** How many actors may die, or lose the answer to an append, in one execution; who dies is begun again by another process. */
  readonly crashes: number;
  /** See `Question.interruptions`. */
  readonly interruptions?: number;
  /** Takes longer than `npm test` should. */
  readonly slow?: boolean;
}

export const PROOFS: readonly Proof[] = [
  { scenario: 'a writer that shares content with an expired point', crashes: 1 },
  { scenario: 'a mover, then a sweep, beside a writer', crashes: 0 },
  { scenario: 'a mover beside a writer that shares', crashes: 0 },
  { scenario: 'a mover and a sweep beside a reader', crashes: 0 },
  { scenario: 'somebody abandons a run', crashes: 1 },
  { scenario: 'undelete, expire and a legal hold', crashes: 1 },
  { scenario: 'a reader with a hold', crashes: 0 },
  { scenario: 'a part that is processed twice', crashes: 1 },
  { scenario: 'a run that starts while a sweep', crashes: 0 },
  { scenario: 'a writer and a sweep with its manners, after', crashes: 1 },
  { scenario: 'two commits, a mover, a sweep and a reader', crashes: 0, interruptions: 1 },
  { scenario: 'two commits, a mover, a sweep and a reader', crashes: 1, interruptions: 0 },
  { scenario: 'two writers, a mover, a sweep and a reader', crashes: 1, interruptions: 0 },
  { scenario: 'a writer that counts from a point', crashes: 0, slow: true },
  { scenario: 'a mover, then a sweep, beside a writer', crashes: 1, slow: true },
  { scenario: 'a mover beside a writer that shares', crashes: 1, slow: true },
  { scenario: 'a mover and a sweep beside a reader', crashes: 1, slow: true },
  { scenario: 'a reader with a hold', crashes: 1, slow: true },
  { scenario: 'a run that starts while a sweep', crashes: 1, slow: true },
  { scenario: 'undelete, expire and a legal hold', crashes: 2, slow: true },
  { scenario: 'a part that is processed twice', crashes: 2, slow: true },
  { scenario: 'two writers that share content', crashes: 0, slow: true },
  { scenario: 'two writers, a mover, a sweep and a reader', crashes: 0, interruptions: 1, slow: true },
  { scenario: 'two commits, a mover, a sweep and a reader', crashes: 1, interruptions: 1, slow: true },
  { scenario: 'two sweeps and a commit', crashes: 0, slow: true },
];
