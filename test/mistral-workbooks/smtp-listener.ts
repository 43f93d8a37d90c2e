import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface Mail {
  readonly to: readonly string[];
  /** With its headers. */
  readonly text: string;
}

/** A mail server that takes whatever comes, as far as RFC 5321 needs it for that. */
export interface SmtpListener {
  /** `host:port` */
  readonly address: string;
  readonly mails: Mail[];
  close(): void;
}

export async function openSmtpListener(): Promise<SmtpListener> {
  const mails: Mail[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
    converse(socket, mails);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    mails,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function converse(socket: Socket, mails: Mail[]): void {
  let [text, data, to] = ['', false, [] as string[]];
  const say = (line: string) => void socket.write(`${line}\r\n`);
  const command = (line: string) => {
    const [, recipient] = /^RCPT TO:\s*<([^>]*)>/i.exec(line) ?? [];
    if (recipient !== undefined) to.push(recipient);
    data = /^DATA/i.test(line);
    if (/^QUIT/i.test(line)) socket.end('221 Bye\r\n');
    else say(data ? '354 Go on' : '250 Good');
  };
  say('220 test');
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    for (;;) {
      const end = text.indexOf(data ? '\r\n.\r\n' : '\r\n');
      if (end < 0) return;
      const found = text.slice(0, end);
      text = text.slice(end + (data ? 5 : 2));
      if (!data) command(found);
      else {
        mails.push({ to, text: found });
        [data, to] = [false, []];
        say('250 Taken');
      }
    }
  });
}
