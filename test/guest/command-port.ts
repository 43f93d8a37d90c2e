import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a command in the guest came to. Standard output and standard error are one text. */
export interface CommandResult {
  readonly code: number;
  readonly output: string;
}

/** Runs shell commands in the guest over a virtio port: `<number> <command>` out, `<number> <exit code> <output>` back, texts in base64. */
export class CommandPort {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, (result: CommandResult) => void>();
  #received = '';
  #last = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
    // The end of QEMU is noticed by its process; a command still waiting then ends by its time limit.
    socket.on('error', () => undefined);
  }

  static async open(path: string, limitMs: number): Promise<CommandPort> {
    for (const end = Date.now() + limitMs; ; await sleep(20)) {
      const socket = await tryConnect(path);
      if (socket !== undefined) return new CommandPort(socket);
      if (Date.now() > end) throw new Error(`QEMU did not open ${path} within ${limitMs} ms`);
    }
  }

  /** Sends a command without waiting for its end. */
  send(command: string): string {
    const id = String(++this.#last);
    this.#socket.write(`${id} ${Buffer.from(command).toString('base64')}\n`);
    return id;
  }

  async run(command: string, limitMs: number): Promise<CommandResult> {
    const id = this.send(command);
    const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
    this.#waiting.set(id, resolve);
    const late = new Error(`The guest did not finish within ${limitMs} ms: ${command}`);
    const timer = setTimeout(() => reject(late), limitMs);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = (this.#received + text).split('\n');
    this.#received = lines.pop() ?? '';
    for (const line of lines) {
      const [id = '', code, output = ''] = line.split(' ');
      this.#waiting.get(id)?.({ code: Number(code), output: Buffer.from(output, 'base64').toString() });
    }
  }
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
