import type { ClientRequest } from 'node:http';
import type { Patience } from './patience.ts';

export type OutgoingRequest = ClientRequest;

/** Smaller bodies are sent at once, larger ones when the server has said that it wants them: it may refuse, or have the object. */
const ASK_FIRST = 256 * 1024;

/** Sends the pieces and ends the request, whose headers must not have been sent. Nothing is copied: the pieces must stay as they are. */
export function sendBody(outgoing: OutgoingRequest, body: readonly Uint8Array[], { continueMs }: Patience): void {
  const pieces = body.filter((piece) => piece.length > 0);
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (size < ASK_FIRST) sendNow(outgoing, pieces);
  else sendWhenWanted(outgoing, pieces, continueMs);
}

function sendWhenWanted(outgoing: OutgoingRequest, pieces: readonly Uint8Array[], continueMs: number): void {
  outgoing.setHeader('expect', '100-continue');
  outgoing.flushHeaders();
  let timer: NodeJS.Timeout | undefined;
  const send = () => {
    clearTimeout(timer);
    if (!outgoing.destroyed && !outgoing.writableEnded) sendNow(outgoing, pieces);
  };
  outgoing.once('continue', send);
  // An answer without the question's: it is not wanted.
  outgoing.once('response', () => clearTimeout(timer));
  outgoing.once('socket', (socket) => {
    const wait = () => {
      timer = setTimeout(send, continueMs);
    };
    if (socket.connecting) socket.once('connect', wait);
    else wait();
  });
  outgoing.once('close', () => clearTimeout(timer));
}

function sendNow(outgoing: OutgoingRequest, pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) outgoing.write(piece);
  outgoing.end();
}
