/** A process that freezes a guest and hangs: freezing-exporter <agent socket> <state directory>. */
import { holdStill } from '../../../host-exporter/qemu/hold-still.ts';

const [agentSocket = '', stateDirectory = ''] = process.argv.slice(2);
const thaw = { answerMs: 1_000, pauseMs: 10, patienceMs: 1_000 };
await holdStill({ agentSocket, stateDirectory, freezeMs: 1_000, thaw, watchdogMs: 60_000 }, true, async () => {
  process.stdout.write('frozen\n');
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});
