// Reads an NBD export from its beginning to its end and prints the seconds that took: nbd-reader.ts SOCKET IN-FLIGHT REQUEST-SIZE
import { openNbd } from '../../host-exporter/qemu/nbd-client.ts';

const [socketPath = '', inFlight = '', requestSize = ''] = process.argv.slice(2);

const began = performance.now();
const nbd = await openNbd({ socketPath, exportName: '' });
let next = 0;

async function lane(): Promise<void> {
  const into = Buffer.allocUnsafeSlow(Number(requestSize));
  for (let at = next; at < nbd.size; at = next) {
    const length = Math.min(into.length, nbd.size - at);
    next = at + length;
    await nbd.read(at, length, into);
  }
}

await Promise.all(Array.from({ length: Number(inFlight) }, lane));
await nbd.close();
console.log((performance.now() - began) / 1000);
