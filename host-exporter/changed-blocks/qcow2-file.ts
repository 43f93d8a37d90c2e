import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { EkkoError } from '#vault/errors.ts';
import type { MomentRequest, SourceDisk } from '#vault/staging/changed-block-source.ts';
import { type NbdClient, openNbd } from '../qemu/nbd-client.ts';
import { layersOfFile } from './file-layers.ts';
import { type FoundFile, type HeldFile, reasonForFile } from './held-file.ts';
import { chooseImage } from './image-base.ts';
import { imageFailure } from './image-lock.ts';
import type { MeasuredImages } from './measured-images.ts';
import { ALLOCATION_CONTEXT, type AuditSettings, DEPTH_CONTEXT, planFull, planOnImage } from './plan-disk.ts';

const START_MS = 10_000;
const POLL_MS = 10;
const LONGEST_COMPLAINT = 4096;
const MOST_AUDITED = 256;

type Server = ChildProcessByStdio<null, null, Readable>;

/**
 * A qcow2 image that no QEMU writes: shown by a read-only qemu-nbd of our own, which also keeps a guest from starting meanwhile. With `images`
 * one that was built on an image which the vault has is planned on that.
 */
export async function holdQcow2File(
  { disk, path }: FoundFile,
  request: MomentRequest,
  images?: MeasuredImages,
): Promise<HeldFile> {
  const fullReason = reasonForFile(disk, request);
  const choose = async () =>
    images && request.image && chooseImage(images, await describe(disk, path), fullReason, request, itself);
  const before = await choose();
  const directory = await mkdtemp(join(tmpdir(), 'ekko-nbd-'));
  const socketPath = join(directory, 's');
  // Without --persistent it ends with our one connection, so an exporter that dies leaves no lock on the image.
  const server = spawn(
    'qemu-nbd',
    ['--read-only', '--format=qcow2', '--allocation-depth', `--socket=${socketPath}`, path],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const ended = once(server, 'close').catch((cause: unknown) => cause);
  async function release(client?: NbdClient): Promise<void> {
    await client?.close();
    server.kill();
    await ended;
    await rm(directory, { recursive: true, force: true });
  }
  let client: NbdClient | undefined;
  try {
    client = await connectWhenReady(server, ended, { socketPath, path });
    // The image's file was the same when it was opened as before and after.
    const after = before && (await choose());
    const base = after?.name === before?.name ? after : undefined;
    const clients = { allocation: client, depths: client };
    const plan = base
      ? await planOnImage(disk, { fullReason, base, depth: base.layers }, clients, auditOf(request))
      : await planFull(disk, client, fullReason);
    const { read } = client;
    return { plan, read, close: () => release(client) };
  } catch (error) {
    await release(client);
    throw error;
  }
}

/** Nobody else has it open. */
const itself = () => Promise.resolve(true);

async function describe({ size }: SourceDisk, path: string) {
  return { size, layers: await layersOfFile(path) };
}

function auditOf({ auditShare }: MomentRequest): AuditSettings {
  return { share: auditShare, mostSegments: MOST_AUDITED, random: Math.random };
}

async function connectWhenReady(
  server: Server,
  ended: Promise<unknown>,
  { socketPath, path }: { readonly socketPath: string; readonly path: string },
): Promise<NbdClient> {
  let complaint = '';
  let running = true;
  server.stderr.on('data', (bytes) => {
    complaint = (complaint + String(bytes)).slice(0, LONGEST_COMPLAINT);
  });
  server.on('error', (cause) => {
    complaint = `${cause.message}; is the package qemu-utils installed?`;
  });
  void ended.then(() => {
    running = false;
  });
  for (const end = performance.now() + START_MS; performance.now() < end; await sleep(POLL_MS)) {
    if (!running) throw imageFailure('qemu-nbd', path, complaint);
    const client = await openNbd({ socketPath, exportName: '', contexts: [ALLOCATION_CONTEXT, DEPTH_CONTEXT] }).catch(
      () => undefined,
    );
    if (client) return client;
  }
  throw new EkkoError('qemu-failed', `qemu-nbd did not show ${path} within ${START_MS} ms: ${complaint}`);
}
