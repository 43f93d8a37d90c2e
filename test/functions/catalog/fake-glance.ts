import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeImage {
  readonly project: string;
  status: 'queued' | 'saving' | 'active';
  /** All that it has, but for its content. */
  readonly fields: Record<string, unknown>;
  content: Buffer;
}

/** A Glance that keeps images in memory and speaks as a real one was seen to; a test lets it fail. */
export interface FakeGlance {
  readonly url: string;
  readonly images: Map<string, FakeImage>;
  /** Methods and paths that were asked for. */
  readonly requests: string[];
  readonly faults: {
    /** Contents beyond so many bytes are refused, as soon as that is known. */
    quota?: number;
    /** The line breaks after so many bytes, so many times; what has come is taken for the whole. */
    cut?: { readonly after: number; times: number };
    /** A byte is lost on the way. */
    flip?: boolean;
    /** Every call is answered so. */
    status?: number;
    /** Images that cannot be deleted. */
    inUse?: boolean;
  };
  /** Contents are taken no further than this many bytes as long as it is set. */
  gate: { readonly after: number; readonly open: Promise<void> } | undefined;
  close(): Promise<void>;
}

/** `projectOf`: of a token, undefined for one that is none. */
export async function openFakeGlance(projectOf: (token: string) => string | undefined): Promise<FakeGlance> {
  const images = new Map<string, FakeImage>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const glance: FakeGlance = {
    ...{ images, requests, faults: {}, gate: undefined },
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    requests.push(`${method} ${url}`);
    const say = (status: number, body?: object) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    };
    const refuse = (status: number, words: string) => {
      response.writeHead(status, { 'content-type': 'text/html' });
      response.end(`<html><head><title>${status}</title></head><body><h1>${status}</h1>${words}<br /></body></html>`);
    };
    const project = projectOf(String(request.headers['x-auth-token'] ?? ''));
    if (glance.faults.status !== undefined) return refuse(glance.faults.status, 'It is so.');
    if (project === undefined) return refuse(401, 'This server could not verify that you are authorized.');
    const [, id = '', file] = /^\/v2\/images(?:\/([^/]+))?(\/file)?$/.exec(url) ?? [];
    if (method === 'POST') return make(project, JSON.parse(await textOf(request)), say);
    const image = images.get(id);
    if (image === undefined || image.project !== project) return refuse(404, `No image found with ID ${id}`);
    if (method === 'GET') return say(200, shown(id, image));
    if (method === 'PATCH') {
      for (const { path, value } of JSON.parse(await textOf(request)) as { path: string; value: unknown }[])
        image.fields[path.slice(1)] = value;
      return say(200, shown(id, image));
    }
    if (method === 'DELETE') {
      if (glance.faults.inUse) return refuse(409, `Image ${id} could not be deleted because it is in use.`);
      images.delete(id);
      return say(204);
    }
    if (method === 'PUT' && file) return take(id, image, request, { say, refuse, response });
    refuse(404, 'Not found');
  }

  function make(project: string, body: Record<string, unknown>, say: (status: number, body?: object) => void) {
    const { id } = body;
    if (typeof id !== 'string' || images.has(id)) return say(409, { message: 'Image ID exists.' });
    images.set(id, { project, status: 'queued', fields: body, content: Buffer.alloc(0) });
    say(201, { id });
  }

  async function take(
    id: string,
    image: FakeImage,
    request: IncomingMessage,
    {
      say,
      refuse,
      response,
    }: { say: (s: number) => void; refuse: (s: number, w: string) => void; response: ServerResponse },
  ): Promise<void> {
    image.status = 'saving';
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of request as AsyncIterable<Buffer>) {
      pieces.push(piece);
      size += piece.length;
      const { quota, cut } = glance.faults;
      if (quota !== undefined && size > quota) {
        refuse(413, 'Denying attempt to upload image because it exceeds the quota: The size of the data is too large.');
        response.once('finish', () => request.destroy());
        return;
      }
      if (cut !== undefined && cut.times > 0 && size > cut.after) {
        cut.times--;
        image.content = Buffer.concat(pieces);
        image.status = 'active';
        request.destroy();
        return;
      }
      if (glance.gate !== undefined && size > glance.gate.after) await glance.gate.open;
    }
    if (images.get(id) !== image) return refuse(410, `Image ${id} could not be found after upload.`);
    image.content = Buffer.concat(pieces);
    if (glance.faults.flip) image.content.writeUInt8(image.content.readUInt8(70_000) ^ 1, 70_000);
    image.status = 'active';
    say(204);
  }

  return glance;
}

function shown(id: string, { status, fields, content }: FakeImage): object {
  const active = status === 'active';
  const hash = active ? createHash('sha512').update(content).digest('hex') : null;
  return { ...fields, id, status, size: active ? content.length : null, os_hash_algo: 'sha512', os_hash_value: hash };
}

async function textOf(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await request.toArray()).toString('utf8');
}
