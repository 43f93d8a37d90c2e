import { parentPort, workerData } from 'node:worker_threads';
import { describeFailure, type Invocation, type WorkerSettings } from './invocation.ts';

/** One worker thread of the function host: imports the bundles it is told to and calls their handlers. */
const { bundles } = workerData as WorkerSettings;

type Handler = (event: unknown) => Promise<unknown>;

async function handlerOf(name: string): Promise<Handler> {
  const path = bundles[name];
  if (path === undefined) throw new Error(`There is no function ${name}.`);
  const module = (await import(path)) as { handler: Handler };
  return module.handler;
}

async function answer({ id, name, event }: Invocation): Promise<void> {
  try {
    const handler = await handlerOf(name);
    parentPort?.postMessage({ id, result: await handler(event) });
  } catch (error) {
    parentPort?.postMessage({ id, failure: describeFailure(error) });
  }
}

parentPort?.on('message', (invocation: Invocation) => void answer(invocation));
