/** Entry of the exporter: `ekko-exporter [--settings FILE]`, `--version`; `thaw-watchdog …` is how it starts its own watchdog. */
import { isSea } from 'node:sea';
import { parseArgs } from 'node:util';
import { codeOf } from '#vault/errors.ts';
import { runWatchdog } from '../qemu/thaw-watchdog.ts';
import { startExporter } from './exporter.ts';
import { readExporterSettings } from './exporter-settings.ts';
import { EXPORTER_VERSION } from './version.ts';

const DEFAULT_SETTINGS = '/etc/ekko/exporter.yaml';
const WATCHDOG = 'thaw-watchdog';

const HELP = `ekko-exporter: reads changed blocks of this host's guests for Ekko
  --settings FILE   settings (YAML, mode 0600); ${DEFAULT_SETTINGS} by default
  --check           reads the settings, says whether they can be used, and ends
  --version
`;

/** Log lines go to the journal, which adds the time. */
function log(message: string): void {
  process.stdout.write(`${message.replaceAll('\n', ' | ')}\n`);
}

async function main(args: readonly string[]): Promise<void> {
  if (args[0] === WATCHDOG) return runWatchdog(args.slice(1), process.stdin);
  const options = {
    settings: { type: 'string', default: DEFAULT_SETTINGS },
    check: { type: 'boolean', default: false },
    version: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) return void process.stdout.write(HELP);
  if (values.version) return void process.stdout.write(`ekko-exporter ${EXPORTER_VERSION}\n`);
  const settings = await readExporterSettings(values.settings);
  if (values.check) return void process.stdout.write(`${values.settings} can be used.\n`);
  await serve(settings);
}

async function serve(settings: Awaited<ReturnType<typeof readExporterSettings>>): Promise<void> {
  const first = isSea() ? [] : process.argv.slice(1, 2);
  const watchdogCommand = [process.execPath, ...first, WATCHDOG];
  const exporter = await startExporter({
    ...{ settings, log, watchdogCommand },
    ...{ version: EXPORTER_VERSION, environment: process.env },
  });
  log(`Listening on ${settings.address}:${exporter.port}`);
  const stop = () => void exporter.stop().finally(() => process.exit(0));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${codeOf(error) === undefined && error instanceof Error ? error.stack : message}\n`);
  process.exitCode = 1;
});
