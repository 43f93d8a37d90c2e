/** Entry of the watchdog's process: thaw-watchdog-main <agent socket> <record> <deadline in milliseconds>. */
import { runWatchdog } from './thaw-watchdog.ts';

await runWatchdog(process.argv.slice(2), process.stdin);
