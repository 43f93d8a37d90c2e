import { parentPort, workerData } from 'node:worker_threads';
import { describeFailure, type Invocation, type WorkerSettings } from './invocation.ts';

/** One worker thread of the function host: imports the bundles it is told to and calls their handlers. */
const { bundles } = workerData as WorkerSettings;

interface FunctionModule {
  handler(event: unknown): Promise<unknown>;
  /** Does what every call would have to wait for. */
  prepare?(): Promise<void>;
}

async function load(name: string): Promise<FunctionModule> {
  const path = bundles[name];
  if (path === undefined) throw new Error(`There is no function ${name}.`);
  return (await import(path)) as FunctionModule;
}

/** Whatever goes wrong here goes wrong again in the first call, which can tell. */
async function prepareAll(): Promise<void> {
  for (const name of Object.keys(bundles)) {
    await load(name)
      .then(
        ({ prepare }) => prepare?.(),
        () => undefined,
      )
      .catch(() => undefined);
  }
}

async function answer({ id, name, event }: Invocation): Promise<void> {
  try {
    const { handler } = await load(name);
    parentPort?.postMessage({ id, result: await handler(event) });
  } catch (error) {
    parentPort?.postMessage({ id, failure: describeFailure(error) });
  }
}

parentPort?.on('message', (invocation: Invocation) => void answer(invocation));
void prepareAll();
