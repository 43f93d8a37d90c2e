import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { EkkoError } from '#vault/errors.ts';
import { trustAuthority } from '#vault/store/swift/authority.ts';
import { openExchange } from '#vault/store/swift/http-exchange.ts';
import { PATIENCE } from '#vault/store/swift/patience.ts';
import { openMeasuredImages } from '../changed-blocks/measured-images.ts';
import { createBudget } from './budget.ts';
import type { ExporterSettings } from './exporter-settings.ts';
import { openIdentify } from './identity.ts';
import { openMembers } from './members.ts';
import { openServiceLogin, type Peers } from './peers.ts';
import { startRegistration } from './registration.ts';
import { exporterRoutes } from './routes.ts';
import { startServer } from './server.ts';

export interface RunningExporter {
  readonly port: number;
  /** Lets go of the guests; no change is lost. */
  stop(): Promise<void>;
}

export interface ExporterOptions {
  readonly settings: ExporterSettings;
  readonly version: string;
  readonly log: (message: string) => void;
  /** The watchdog's program and first arguments, where the exporter is one file. */
  readonly watchdogCommand?: readonly string[];
  /** For HTTPS_PROXY and the like. */
  readonly environment: NodeJS.ProcessEnv;
}

/** Clears up after an exporter that died, then serves and registers. Throws `bad-input` for settings that cannot be used. */
export async function startExporter({
  settings,
  version,
  log,
  environment,
  watchdogCommand,
}: ExporterOptions): Promise<RunningExporter> {
  if (settings.authorities !== undefined) await trustAuthority(settings.authorities);
  const peers: Peers = { exchange: openExchange(PATIENCE, environment), patience: PATIENCE };
  // Answers that somebody waits for.
  const quick: Peers = { ...peers, patience: { ...PATIENCE, retries: 2, attemptMs: 20_000, silenceMs: 15_000 } };
  const login = openServiceLogin(quick, settings);
  const budget = createBudget(settings.bandwidth);
  const images = openMeasuredImages(settings.state_directory);
  const members = await openMembers({
    settings,
    peers,
    budget,
    images,
    log,
    ...(watchdogCommand ? { watchdogCommand } : {}),
  });
  const identify = openIdentify(quick, login, settings.keystone.auth_url);
  const routes = exporterRoutes({ settings, peers: quick, identify, members, images, version });
  const server = await startServer(routes, await placeOf(settings), log);
  const stopRegistration = startRegistration(quick, login, settings, log);
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      stopRegistration();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await members.leave();
    },
  };
}

async function placeOf({ address, port, certificate, certificate_key }: ExporterSettings) {
  if (certificate === undefined || certificate_key === undefined) return { address, port };
  const [cert, key] = await Promise.all([readPem(certificate), readPem(certificate_key)]);
  return { address, port, tls: { cert, key } };
}

async function readPem(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw new EkkoError('bad-input', `${path} cannot be read: ${String(cause)}`, { cause });
  });
}
