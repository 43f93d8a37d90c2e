import { basename } from 'node:path';
import { asObjects, type JsonObject, textOf } from '../qemu/json-value.ts';
import type { QmpClient } from '../qemu/qmp-client.ts';
import { OWN_PREFIX } from './bitmaps.ts';
import { removeFile } from './scratch.ts';

/** Suffix of the node that holds a scratch file; the node above it goes first. */
export const FILE_SUFFIX = '-file';

/**
 * Removes every export, job, node and scratch file of ours from a guest, in the order that QEMU wants: exports, jobs, NBD server, nodes.
 * Ends a moment, and clears away what an exporter that died left behind. Bitmaps stay. True when there was anything. A server that is
 * known to be somebody else's stays too.
 */
export async function removeOwnParts(qmp: QmpClient, server: 'ours' | 'foreign' = 'ours'): Promise<boolean> {
  const exported = asObjects(await qmp.execute('query-block-exports'), 'the answer to query-block-exports');
  const nodes = await ownNodes(qmp);
  const foreign = exported.filter((one) => !isOwn(one, 'id'));
  const own = exported.filter((one) => isOwn(one, 'id'));
  for (const one of own) await removeExport(qmp, textOf(one, 'id'));
  const jobs = await removeJobs(qmp);
  // Nodes are made before the server starts and go after it has stopped: a server beside nodes of ours is ours.
  if (server === 'ours' && nodes.length > 0 && foreign.length === 0) await stopServer(qmp);
  for (const node of nodes) await qmp.execute('blockdev-del', { 'node-name': textOf(node, 'node-name') });
  for (const node of nodes) await removeScratchOf(node);
  return own.length + nodes.length + jobs > 0;
}

function isOwn(object: JsonObject, key: string): boolean {
  return textOf(object, key).startsWith(OWN_PREFIX);
}

async function ownNodes(qmp: QmpClient): Promise<readonly JsonObject[]> {
  const answer = await qmp.execute('query-named-block-nodes', { flat: true });
  const own = asObjects(answer, 'the answer to query-named-block-nodes').filter((node) => isOwn(node, 'node-name'));
  const isFile = (node: JsonObject) => textOf(node, 'node-name').endsWith(FILE_SUFFIX);
  return [...own.filter((node) => !isFile(node)), ...own.filter(isFile)];
}

async function removeExport(qmp: QmpClient, id: string): Promise<void> {
  await qmp.executeUntil('block-export-del', { id, mode: 'hard' }, { event: 'BLOCK_EXPORT_DELETED', data: { id } });
}

async function removeJobs(qmp: QmpClient): Promise<number> {
  const jobs = asObjects(await qmp.execute('query-jobs'), 'the answer to query-jobs').filter((job) => isOwn(job, 'id'));
  for (const job of jobs) {
    const id = textOf(job, 'id');
    const command = textOf(job, 'status') === 'concluded' ? 'job-dismiss' : 'job-cancel';
    await qmp.executeUntil(command, { id }, { event: 'JOB_STATUS_CHANGE', data: { id, status: 'null' } });
  }
  return jobs.length;
}

async function stopServer(qmp: QmpClient): Promise<void> {
  try {
    await qmp.execute('nbd-server-stop');
  } catch (error) {
    // It never started, when the exporter died before that.
    if (qmp.closed) throw error;
  }
}

async function removeScratchOf(node: JsonObject): Promise<void> {
  const path = textOf(node, 'file');
  const isScratch = textOf(node, 'node-name').endsWith(FILE_SUFFIX) && basename(path).startsWith(OWN_PREFIX);
  if (isScratch) await removeFile(path);
}

/** The guest's run state, QEMU's RunState: `running`, `paused`, `io-error`, … */
export async function guestStatus(qmp: QmpClient): Promise<string> {
  const status = await qmp.execute('query-status');
  return typeof status === 'object' && status !== null && 'status' in status ? String(status.status) : '';
}

/** Lets a guest go on that QEMU stopped over an I/O error: the write that failed is tried again. */
export async function resumeAfterIoError(qmp: QmpClient): Promise<void> {
  if ((await guestStatus(qmp)) === 'io-error') await qmp.execute('cont');
}
