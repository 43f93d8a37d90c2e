import type { ExporterSettings } from './exporter-settings.ts';
import { askJson, type Peers, type ServiceLogin } from './peers.ts';

const EACH_MS = 60_000;

/** Tells the catalog each minute where this exporter is. `log` hears when that begins or ceases to work. The function returned ends it. */
export function startRegistration(
  peers: Peers,
  login: ServiceLogin,
  { catalog, host, url }: Pick<ExporterSettings, 'catalog' | 'host' | 'url'>,
  log: (message: string) => void,
  eachMs = EACH_MS,
): () => void {
  let said: string | undefined;
  let timer: NodeJS.Timeout;
  let stopped = false;

  async function register(): Promise<string> {
    const token = await login.token();
    const headers = { 'x-auth-token': token };
    const place = `${catalog}/v1/exporters/${encodeURIComponent(host)}`;
    const what = `The catalog at ${catalog} cannot be reached`;
    const { status } = await askJson(peers, { method: 'PUT', url: place, headers, what, json: { url } });
    if (status === 401) login.forget(token);
    return status < 300
      ? `Registered as ${host} at ${catalog}`
      : `The catalog at ${catalog} refuses host ${host} (${status})`;
  }

  async function next(): Promise<void> {
    const found = await register().catch((error: unknown) => String(error instanceof Error ? error.message : error));
    if (found !== said) log(found);
    said = found;
    if (!stopped) timer = setTimeout(next, eachMs).unref();
  }

  void next();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
