import { EkkoError } from '#vault/errors.ts';
import { decodeTicket, type ServerTicket } from '#vault/export-ticket.ts';
import { textOf } from '../qemu/json-value.ts';
import { ApiError } from './api-error.ts';
import { askJson, type Peers } from './peers.ts';

const WHAT = 'The ticket of the catalog';

export interface TicketPlace {
  readonly catalog: string;
  readonly run: string;
  readonly server: string;
  readonly token: string;
}

/** Asks the catalog with the caller's own token. Throws `ApiError` with what the catalog refuses, `bad-format` for a ticket that is none. */
export async function fetchTicket(peers: Peers, { catalog, run, server, token }: TicketPlace): Promise<ServerTicket> {
  const url = `${catalog}/v1/runs/${run}/members/${server}/ticket`;
  const headers = { 'x-auth-token': token };
  const what = 'The catalog cannot be asked for the ticket';
  const answer = await askJson(peers, { method: 'GET', url, headers, what }).catch((error: unknown) => {
    throw new ApiError(503, 'catalog-unavailable', error instanceof Error ? `${error.message}. Try again.` : what);
  });
  if (answer.status === 200) return readTicket(answer.json, run);
  const { json } = answer;
  const code = typeof json === 'object' && json !== null ? textOf({ ...json }, 'code') : '';
  const status = [401, 403, 404, 409].includes(answer.status) ? answer.status : 502;
  throw new ApiError(
    status,
    code || 'catalog-refuses',
    `The catalog gives no ticket for run ${run} (${answer.status}).`,
  );
}

/** Checks what the catalog gave: it is of another machine. Throws `bad-format`. */
export function readTicket(given: unknown, run: string): ServerTicket {
  const ticket = decodeTicket(given, WHAT);
  if (ticket.run !== run) throw new EkkoError('bad-format', `${WHAT} is for another run.`);
  if (ticket.disks.length === 0) throw new EkkoError('bad-format', `${WHAT} has no disks.`);
  return ticket;
}
