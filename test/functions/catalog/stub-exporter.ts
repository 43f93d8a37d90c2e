import { decodeTicket, diskTicket, type ServerTicket, type UploadRight } from '#vault/export-ticket.ts';
import { imageName } from '#vault/images.ts';
import type { HeldMoment } from '#vault/staging/changed-block-source.ts';
import { exportDisk, plannedBytes } from '#vault/staging/export-disk.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { type ModelGuest, newModelGuest } from '../../model/model-guest.ts';
import type { FakeCloud } from './fake-cloud.ts';
import { type FakeAnswer, type FakeRequest, type HttpFake, openHttpFake } from './http-fake.ts';
import type { Places } from './test-vaults.ts';

/** A step at a server, as the exporter saw it. */
export interface SeenStep {
  readonly server: string;
  readonly step: string;
  readonly at: number;
}

/** An exporter that speaks the contract over disks in memory; parts are sealed and staged by the real exporter's own code. */
export interface StubExporter {
  readonly host: string;
  readonly url: () => string;
  readonly steps: SeenStep[];
  /** Steps that fail, as `freeze` or `<server> freeze`. */
  readonly faults: Set<string>;
  /** Bytes of segments by full disk name: `<server>/<disk>`. */
  readonly disks: Map<string, ModelGuest>;
  /** Disks, by full name, that were built on an image; a digest of '' is still being read. */
  readonly images: Map<string, { digest: string; readonly content: ModelGuest }>;
  /** Milliseconds that each step takes. */
  delay: number;
  /** Dies when it is asked for this step, without an answer. */
  dieBefore: string | undefined;
  /** Exports wait until it is resolved. */
  gate: Promise<void>;
  /** How runs ended, by `<run> <server>`. */
  readonly outcomes: Map<string, string>;
  /** Servers whose images' digests were asked for. */
  readonly digestsAsked: string[];
  addDisk(name: string, segments: number): ModelGuest;
  /** The exporter dies with all that it held. */
  stop(): Promise<void>;
}

interface Member {
  state: string;
  readonly ticket: ServerTicket;
  moments: { readonly moment: HeldMoment; readonly index: number; readonly name: string }[];
  done: Map<string, number>;
  problem?: string;
}

export async function openStubExporter(
  cloud: FakeCloud,
  host: string,
  places: Pick<Places, 'store'>,
): Promise<StubExporter> {
  const members = new Map<string, Member>();
  const steps: SeenStep[] = [];
  const digestsAsked: string[] = [];
  const faults = new Set<string>();
  const disks = new Map<string, ModelGuest>();
  const images: StubExporter['images'] = new Map();
  const outcomes = new Map<string, string>();
  const stub: Partial<StubExporter> & Pick<StubExporter, 'delay' | 'gate' | 'dieBefore'> = {
    delay: 0,
    gate: Promise.resolve(),
    dieBefore: undefined,
  };
  const owns = (server: string, token: string) =>
    cloud.servers.get(server)?.project === cloud.tokens.get(token)?.project;
  const stateOf = ({ state, moments, done, problem }: Member): FakeAnswer => ({
    status: 200,
    body: {
      state,
      disks: moments.map(({ moment, name }) => ({
        name,
        bytesTotal: moment.plans.reduce((sum, plan) => sum + plannedBytes(plan), 0),
        bytesDone: done.get(name) ?? 0,
      })),
      ...(problem === undefined ? {} : { problem }),
    },
  });

  const prepare = async (key: string, server: string, run: string, request: FakeRequest): Promise<FakeAnswer> => {
    const found = members.get(key);
    if (found !== undefined) return stateOf(found);
    const { catalog } = request.body as { catalog: string };
    const answer = await fetch(`${catalog}/v1/runs/${run}/members/${server}/ticket`, {
      headers: { 'x-auth-token': request.headers['x-auth-token'] ?? '' },
    });
    if (!answer.ok) return problemOf(502, `No ticket: ${await answer.text()}`);
    const member: Member = {
      state: 'prepared',
      ticket: decodeTicket(await answer.json(), 'The ticket'),
      moments: [],
      done: new Map(),
    };
    members.set(key, member);
    return stateOf(member);
  };

  const checkpoint = async ({ ticket }: Member) => {
    const moments: Member['moments'] = [];
    for (const { index, name, points } of ticket.disks) {
      const guest = disks.get(name) ?? [...images.values()].find(({ digest }) => name === imageName(digest))?.content;
      if (guest === undefined) throw new Error(`no disk ${name}`);
      const wish = {
        known: (point: string) => points.find(({ run }) => run === point)?.size,
        newest: () => points[0]?.run,
        readAll: ticket.readAll,
        quiesce: ticket.quiesce,
        auditShare: faults.has('audit') ? 1 : 0,
      };
      moments.push({ moment: await guest.take({ run: ticket.run, ...wish }), index, name });
    }
    return moments;
  };

  const exportAll = async (member: Member, server: string, catalog: string, token: string) => {
    const { ticket, moments, done } = member;
    try {
      await stub.gate;
      if (faults.has('exporting') || faults.has(`${server} exporting`))
        throw new Error('the guest’s disk cannot be read');
      const staging = stagingAt(ticket.upload, places);
      for (const { moment, index, name } of moments) {
        const disk = ticket.disks.find((each) => each.index === index);
        if (disk === undefined) throw new Error(`no disk ${index}`);
        const notice = async (key: string) => {
          if (faults.has('notices')) return;
          await fetch(`${catalog}/v1/runs/${ticket.run}/notices`, {
            method: 'POST',
            headers: { 'x-auth-token': token, 'content-type': 'application/json' },
            body: JSON.stringify({ keys: [key] }),
          }).catch(() => undefined);
        };
        const progress = (bytes: number) => void done.set(name, (done.get(name) ?? 0) + bytes);
        await exportDisk(moment, 0, diskTicket(ticket, disk), disk.points[0]?.manifest, {
          staging,
          notice,
          progress,
          bandwidth: undefined,
          partSegments: 4,
        });
      }
      member.state = 'staged';
    } catch (error) {
      member.state = 'failed';
      member.problem = error instanceof Error ? error.message : String(error);
    }
  };

  let catalogUrl = '';
  const answerStep = async (member: Member, step: string, server: string, token: string): Promise<FakeAnswer> => {
    if (faults.has(step) || faults.has(`${server} ${step}`))
      return problemOf(500, `${step} of ${server} failed on purpose.`);
    if (step === 'freeze' && member.state === 'prepared') member.state = 'frozen';
    if (step === 'checkpoint' && member.state === 'frozen') {
      member.moments = await checkpoint(member);
      member.state = 'held';
    }
    if (step === 'export' && member.state !== 'staged') {
      member.state = 'exporting';
      delete member.problem;
      member.done.clear();
      void exportAll(member, server, catalogUrl, token);
    }
    return stateOf(member);
  };

  const answer = async (request: FakeRequest): Promise<FakeAnswer | undefined> => {
    const token = request.headers['x-auth-token'] ?? '';
    const [, , kind, first = '', , second = '', step] = request.path.split('/');
    const server = kind === 'servers' ? first : second;
    if (!owns(server, token)) return problemOf(404, 'no such server');
    if (cloud.servers.get(server)?.host !== host) return problemOf(404, 'not here');
    const wantsDigests = request.query.get('digests') !== 'no';
    if (kind === 'servers' && wantsDigests) digestsAsked.push(server);
    if (kind === 'servers')
      return faults.has('disks')
        ? problemOf(500, 'libvirt does not answer')
        : { status: 200, body: { server, disks: disksOf(server, wantsDigests) } };
    const key = `${first} ${server}`;
    const name = step ?? request.method;
    if (name === stub.dieBefore) {
      void fake.close();
      return new Promise<never>(() => undefined);
    }
    if (faults.has(name)) return problemOf(500, `${name} of ${server} failed on purpose.`);
    if (name !== 'GET') steps.push({ server, step: name, at: performance.now() });
    if (stub.delay > 0 && name !== 'GET') await new Promise((resolve) => setTimeout(resolve, stub.delay));
    if (name === 'PUT') {
      if (faults.has('prepare') || faults.has(`${server} prepare`))
        return problemOf(500, `prepare of ${server} failed on purpose.`);
      catalogUrl = (request.body as { catalog: string }).catalog;
      return prepare(key, server, first, request);
    }
    const member = members.get(key);
    if (member === undefined) return problemOf(404, 'no such run');
    if (name === 'GET') return stateOf(member);
    if (name !== 'DELETE') return answerStep(member, name, server, token);
    const outcome = request.query.get('outcome') === 'committed' ? 'committed' : 'abandoned';
    for (const { moment } of member.moments) await moment.end(outcome);
    members.delete(key);
    outcomes.set(key, outcome);
    return { status: 204 };
  };

  const disksOf = (server: string, withDigests: boolean) =>
    [...disks.keys()].flatMap((name) => {
      if (!name.startsWith(`${server}/`)) return [];
      const own = name.slice(server.length + 1);
      const volume = own.includes('-') ? { kind: 'volume', volume: own } : { kind: 'local' };
      const image = images.get(name);
      const on = image === undefined || !withDigests ? {} : { imageDigest: image.digest };
      return [{ name, size: (disks.get(name)?.segments() ?? 0) * 65_536, ...volume, ...on }];
    });
  const fake: HttpFake = await openHttpFake(answer);
  return Object.assign(stub, {
    ...{ host, steps, faults, disks, images, outcomes, digestsAsked, url: () => fake.url },
    addDisk(name: string, segments: number) {
      const guest = newModelGuest({ name, segments, missing: 0, dead: () => false });
      disks.set(name, guest);
      return guest;
    },
    stop: () => fake.close(),
  });
}

/** The place that a ticket gives the right to: of a test's own, or a temporary URL of a real Swift. */
function stagingAt({ url, query }: UploadRight, places: Pick<Places, 'store'>): Pick<ObjectStore, 'create'> {
  const place = /^http:\/\/place\/(.*)\/$/.exec(url)?.[1];
  if (place !== undefined) return places.store(place);
  return {
    async create(key, body) {
      const headers = { 'if-none-match': '*' };
      const { status } = await fetch(url + key + query, { method: 'PUT', headers, body: Buffer.concat(body) });
      if (status === 201) return 'created';
      if (status === 412) return 'exists';
      throw new Error(`Swift answers ${status} to a part`);
    },
  };
}

function problemOf(status: number, detail: string): FakeAnswer {
  return {
    status,
    body: { status, code: 'qemu-failed', detail },
    headers: { 'content-type': 'application/problem+json' },
  };
}
