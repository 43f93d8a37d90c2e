import { createServer, type Socket } from 'node:net';

/** A guest agent as measured on real guests: one client, one command at a time, and a freeze that goes on although nobody waits any more. */
export interface FakeAgent {
  readonly commands: readonly string[];
  frozen: boolean;
  /** Milliseconds that a freeze (its hooks) takes. */
  freezeMs: number;
  /** What a freeze answers: file systems, or an error. */
  freezeAnswer: number | string;
  /** True: a thaw has no effect. */
  stuck: boolean;
  /** True: nobody answers. */
  silent: boolean;
  close(): Promise<void>;
}

export async function startFakeAgent(path: string): Promise<FakeAgent> {
  const commands: string[] = [];
  const agent = {
    commands,
    frozen: false,
    freezeMs: 0,
    freezeAnswer: 3 as number | string,
    stuck: false,
    silent: false,
  };
  const sockets = new Set<Socket>();
  let work = Promise.resolve();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    let held = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      held = Buffer.concat([held, bytes]);
      for (let end = held.indexOf(10); end !== -1; end = held.indexOf(10)) {
        const line = held.subarray(0, end);
        held = held.subarray(end + 1);
        work = work.then(() => serve(socket, line));
      }
    });
  });

  async function serve(socket: Socket, line: Buffer): Promise<void> {
    const answer = (value: object, mark = '') => {
      if (!socket.destroyed) socket.write(Buffer.from(`${mark}${JSON.stringify(value)}\n`, 'latin1'));
    };
    if (agent.silent) return;
    // The sentinel breaks the parser, which says so.
    if (line.includes(0xff)) answer({ error: { class: 'GenericError', desc: 'JSON parse error' } });
    const { execute, arguments: args } = JSON.parse(line.subarray(line.lastIndexOf(0xff) + 1).toString());
    commands.push(execute);
    if (execute === 'guest-sync-delimited') return answer({ return: args.id }, '\xff');
    if (execute === 'guest-fsfreeze-status') return answer({ return: agent.frozen ? 'frozen' : 'thawed' });
    if (execute === 'guest-fsfreeze-freeze' && agent.frozen) {
      return answer({ error: { desc: `Command ${execute} has been disabled: the agent is in frozen state` } });
    }
    if (execute === 'guest-fsfreeze-freeze') {
      await new Promise((resolve) => setTimeout(resolve, agent.freezeMs));
      if (typeof agent.freezeAnswer === 'string') return answer({ error: { desc: agent.freezeAnswer } });
      agent.frozen = agent.freezeAnswer > 0;
      return answer({ return: agent.freezeAnswer });
    }
    const thawed = agent.frozen ? 3 : 0;
    if (!agent.stuck) agent.frozen = false;
    answer({ return: thawed });
  }

  await new Promise<void>((resolve) => server.listen(path, resolve));
  return Object.assign(agent, {
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
