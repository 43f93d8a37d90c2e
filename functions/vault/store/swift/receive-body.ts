import type { IncomingMessage } from 'node:http';

/** A longer answer than is taken. */
export class TooLongAnswer extends Error {}

/** The whole body of an answer, in memory of its own; HEAD has none. Rejects when it breaks off, or with `TooLongAnswer`. */
export function receiveBody(
  incoming: IncomingMessage,
  { method, most }: { readonly method: string; readonly most: number },
): Promise<Buffer> {
  const told = method === 'HEAD' ? 0 : Number(incoming.headers['content-length'] ?? Number.NaN);
  if (told > most) return Promise.reject(new TooLongAnswer(`the answer is ${told} bytes long`));
  return Number.isSafeInteger(told) ? receiveKnown(incoming, told) : receiveUnknown(incoming, most);
}

function receiveKnown(incoming: IncomingMessage, size: number): Promise<Buffer> {
  // Not of a pool: it is given away.
  const whole = Buffer.allocUnsafeSlow(size);
  let length = 0;
  incoming.on('data', (piece: Buffer) => {
    length += piece.copy(whole, length);
  });
  return ended(incoming, () => {
    if (length !== size) throw new Error('the answer broke off');
    return whole;
  });
}

function receiveUnknown(incoming: IncomingMessage, most: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  incoming.on('data', (piece: Buffer) => {
    length += piece.length;
    if (length > most) incoming.destroy(new TooLongAnswer(`the answer is longer than ${most} bytes`));
    else pieces.push(piece);
  });
  return ended(incoming, () => {
    const whole = Buffer.allocUnsafeSlow(length);
    let at = 0;
    for (const piece of pieces) at += piece.copy(whole, at);
    return whole;
  });
}

function ended(incoming: IncomingMessage, result: () => Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    incoming.on('error', reject);
    incoming.once('close', () => reject(new Error('the answer broke off')));
    incoming.once('end', () => {
      try {
        resolve(result());
      } catch (error) {
        reject(error);
      }
    });
  });
}
