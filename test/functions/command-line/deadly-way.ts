import { type FaultyHttp, openFaultyHttp } from '../../faulty-http.ts';
import type { Desk, Ended } from './ekko.ts';

/** How one `ekko` gets at a vault whose store's API is at `endpoint`. */
export interface WayToVault {
  /** As `ekko` takes it. */
  readonly url: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** The request on which a process dies: before the store hears of it, or when the store has done it and nobody is told. */
export interface Death {
  /** 1: its first. */
  readonly request: number;
  readonly when: 'before' | 'after';
}

export interface LifeOrDeath extends Ended {
  readonly killed: boolean;
  /** That it had made when it ended. */
  readonly requests: number;
}

/** Runs `ekko` over a way of its own to the store at `upstream` (an origin), and kills it there, if it gets so far. */
export async function runUntilDeath(
  desk: Desk,
  { upstream, way }: { readonly upstream: string; readonly way: (endpoint: string) => WayToVault },
  args: (url: string) => readonly string[],
  death: Death | undefined,
): Promise<LifeOrDeath> {
  const front = await openFaultyHttp(upstream);
  const { url, environment } = way(front.url);
  // Starting is most of what a process does here.
  const compiled = { NODE_COMPILE_CACHE: desk.path('compiled') };
  const { child, ended } = desk.start(args(url), { environment: { ...environment, ...compiled } });
  let killed = false;
  const kill = () => {
    killed = child.kill('SIGKILL');
    return 'silence' as const;
  };
  if (death !== undefined) killAt(front, death, kill);
  const end = await ended;
  await front.close();
  return { ...end, killed, requests: front.requests.length };
}

function killAt(front: FaultyHttp, { request, when }: Death, kill: () => 'silence'): void {
  front.misbehave(({ number }) => {
    if (number !== request) return undefined;
    return when === 'before' ? kill : (forward) => forward().then(kill);
  });
}
