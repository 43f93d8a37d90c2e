import type { BackgroundWork } from './background/background.ts';
import type { Caller, Right } from './caller.ts';
import type { TokenChecker } from './cloud/token-checker.ts';
import type { CopyTurns } from './copies/copy-points.ts';
import type { Answer } from './problem.ts';
import type { Registry } from './registry/registry.ts';
import type { RunningRestores } from './restores/running-restores.ts';
import type { OpenRuns } from './runs/open-runs.ts';
import type { CloudEndpoints } from './settings.ts';
import type { TenantVaults } from './vaults/tenant-vaults.ts';

/** All that the routes work on. */
export interface Catalog {
  readonly registry: Registry;
  readonly tokens: TokenChecker;
  readonly tenants: TenantVaults;
  readonly runs: OpenRuns;
  readonly background: BackgroundWork;
  /** One restore point at a time: its copy keeps a worker for as long as it reads, and runs need the others. */
  readonly copyTurns: CopyTurns;
  readonly restores: RunningRestores;
  readonly endpoints: CloudEndpoints;
  /** How exporters reach this API. */
  readonly publicUrl: string;
  readonly limits: { readonly requestsPerMinute: number; readonly refusalsPerMinute: number };
  readonly now: () => Date;
}

/** A call as routes see it. */
export interface ApiRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined where there is none. */
  readonly body: unknown;
}

/** One call of the API. In `path`, `{name}` stands for a parameter. */
export type Route = OpenRoute | CallerRoute;

interface RoutePlace {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
}
export interface OpenRoute extends RoutePlace {
  readonly right: 'anyone';
  readonly serve: (catalog: Catalog, request: ApiRequest) => Promise<Answer>;
}
export interface CallerRoute extends RoutePlace {
  readonly right: Exclude<Right, 'anyone'>;
  readonly serve: (catalog: Catalog, request: ApiRequest, caller: Caller) => Promise<Answer>;
}
