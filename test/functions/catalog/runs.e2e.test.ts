import { createSecretKey, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { restored } from '../../restored.ts';
import { type Lab, openLab } from './lab.ts';
import type { StubExporter } from './stub-exporter.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
const DB = '22222222-2222-4222-8222-222222222222';
const VOLUME = '33333333-3333-4333-8333-333333333333';

let lab: Lab;
let c1: StubExporter;
let c2: StubExporter;

beforeEach(async () => {
  lab = await openLab();
  c1 = await lab.addHost('c1');
  c2 = await lab.addHost('c2');
  lab.addServer(WEB, { name: 'web', host: 'c1' });
  lab.addServer(DB, { name: 'db', host: 'c2', volumes: [VOLUME] });
  c1.addDisk(`${WEB}/root`, 8).write(1, 11);
  c2.addDisk(`${DB}/root`, 4).write(2, 22);
  c2.addDisk(`${DB}/${VOLUME}`, 6).write(3, 33);
  await lab.addPolicy('shop', { servers: [WEB, DB] });
});
afterEach(() => lab.close());

async function start(body: object = {}): Promise<string> {
  const { status, body: started } = await lab.call('POST', '/v1/runs', { body: { policy: 'shop', ...body } });
  if (status !== 201) throw new Error(`${status} ${JSON.stringify(started)}`);
  return started.run;
}

async function stage(run: string): Promise<void> {
  await lab.call('POST', `/v1/runs/${run}/moment`);
  await lab.until(run, 'staged');
}

async function backUp(): Promise<string> {
  const run = await start();
  await stage(run);
  const { status, body } = await lab.call('POST', `/v1/runs/${run}/commit`);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  return run;
}

const problemsOf = (body: { members: { server: string; problem?: string }[] }) =>
  Object.fromEntries(body.members.flatMap(({ server, problem }) => (problem === undefined ? [] : [[server, problem]])));

describe('a bitmap that missed a write', () => {
  test('is not counted from again until a point stands for which everything was read, whatever runs fail meanwhile', async () => {
    await backUp();
    const disk = c1.disks.get(`${WEB}/root`);
    disk?.corrupt(1, 12);
    c1.faults.add('audit');
    const audited = await start();
    await stage(audited);
    expect((await lab.call('POST', `/v1/runs/${audited}/commit`)).body.code).toBe('audit-failed');
    await lab.call('DELETE', `/v1/runs/${audited}`);
    c1.faults.clear();

    const broken = await start();
    await stage(broken);
    await lab.call('DELETE', `/v1/runs/${broken}`);
    await lab.restart();
    const whole = await backUp();
    expect(disk?.lastPlan()?.fullReason).toBe('bitmap-distrusted');
    const { body: point } = await lab.call('GET', `/v1/vaults/main/points/${whole}`);
    expect(point.point).toBe(whole);

    await backUp();
    expect(disk?.lastPlan()?.fullReason).toBe(undefined);
  });
});

describe('a run', () => {
  test('holds all disks of all members at one moment, and every byte of them can be restored', async () => {
    const run = await start();
    const { body: held } = await lab.call('POST', `/v1/runs/${run}/moment`);
    expect(held.windowMs).toBeGreaterThan(0);
    const truth = new Map([...c1.disks, ...c2.disks].map(([name, guest]) => [name, guest.moments.get(run)]));
    c1.disks.get(`${WEB}/root`)?.write(5, 99);
    await lab.until(run, 'staged');
    const { status, body: point } = await lab.call('POST', `/v1/runs/${run}/commit`);
    expect([status, point]).toEqual([
      200,
      expect.objectContaining({ point: run, group: 'shop', disks: 3, partial: false, missing: [] }),
    ]);
    const vault = await lab.vaults.look('a', 'swift:backups');
    for (const [name, bytes] of truth)
      expect((await restored(vault, run, name)).equals(bytes ?? Buffer.alloc(0)), name).toBe(true);
    expect([...c1.outcomes.values(), ...c2.outcomes.values()]).toEqual(['committed', 'committed']);
    expect((await lab.call('GET', `/v1/runs/${run}`)).body).toMatchObject({ state: 'committed', counts: { ended: 2 } });
  });

  test('counts from the point before, which its tickets name', async () => {
    await backUp();
    c2.disks.get(`${DB}/${VOLUME}`)?.write(0, 77);
    const second = await backUp();
    const { body } = await lab.call('GET', `/v1/vaults/main/points/${second}`);
    expect(body.changedBytes).toBe(65_536);
    expect(body.members.every(({ base }: { base?: string }) => base !== undefined)).toBe(true);
  });

  test('does each step at all members before the next one begins', async () => {
    for (const exporter of [c1, c2]) exporter.delay = 30;
    await stage(await start());
    const steps = [...c1.steps, ...c2.steps];
    const times = (step: string) => steps.filter((each) => each.step === step).map(({ at }) => at);
    for (const [earlier, later] of [
      ['PUT', 'freeze'],
      ['freeze', 'checkpoint'],
      ['checkpoint', 'thaw'],
      ['thaw', 'export'],
    ] as const) {
      expect(times(earlier)).toHaveLength(2);
      expect(Math.max(...times(earlier))).toBeLessThan(Math.min(...times(later)) - 20);
    }
  });

  test('tells exporters what its policy says of quiescing and bandwidth', async () => {
    await lab.addPolicy('shop', { servers: [WEB, DB] }, { quiesce: 'never', bandwidth: 1_000_000 });
    const { body } = await lab.call('GET', `/v1/runs/${await start()}/members/${WEB}/ticket`);
    expect(body).toMatchObject({ quiesce: 'never', bandwidth: 1_000_000 });
  });

  test('is started once by one id, however often and at the same time it is asked for', async () => {
    const id = randomUUID();
    const both = await Promise.all([1, 2].map(() => lab.call('POST', '/v1/runs', { body: { policy: 'shop', id } })));
    const again = await lab.call('POST', '/v1/runs', { body: { policy: 'shop', id } });
    expect(new Set([...both, again].map(({ body }) => body.run)).size).toBe(1);
    expect(again.status).toBe(200);
  });

  test('keeps another run of its policy out until it has ended, and names itself', async () => {
    const run = await start();
    const second = await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } });
    expect([second.status, second.body.code]).toEqual([409, 'run-under-way']);
    expect(second.body.detail).toContain(run);
    await lab.call('DELETE', `/v1/runs/${run}`);
    await start();
  });

  test('is one of two that are started at once', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => lab.call('POST', '/v1/runs', { body: { policy: 'shop' } })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  });

  test('finds by a listing what no notice told of', async () => {
    for (const exporter of [c1, c2]) exporter.faults.add('notices');
    const run = await backUp();
    expect((await lab.call('GET', `/v1/vaults/main/points/${run}`)).body.disks).toBe(3);
  });

  test('takes its moment once, also when asked twice', async () => {
    const run = await start();
    const [first, second] = await Promise.all([1, 2].map(() => lab.call('POST', `/v1/runs/${run}/moment`)));
    const third = await lab.call('POST', `/v1/runs/${run}/moment`);
    expect(new Set([first, second, third].map((answer) => answer?.body.takenAt)).size).toBe(1);
    expect(c1.steps.filter(({ step }) => step === 'checkpoint')).toHaveLength(1);
  });

  test('that was committed is answered with its point again, and cannot be abandoned', async () => {
    const run = await backUp();
    const again = await lab.call('POST', `/v1/runs/${run}/commit`);
    expect([again.status, again.body.point]).toEqual([200, run]);
    expect((await lab.call('DELETE', `/v1/runs/${run}`)).body.code).toBe('run-ended');
  });

  test('that was abandoned can never commit, leaves nothing staged, and its exporters merge back', async () => {
    const run = await start();
    await stage(run);
    const { body } = await lab.call('DELETE', `/v1/runs/${run}?reason=the+stack+went+away`);
    expect(body).toMatchObject({ state: 'abandoned', reason: 'the stack went away' });
    expect((await lab.call('DELETE', `/v1/runs/${run}`)).status).toBe(200);
    expect((await lab.call('POST', `/v1/runs/${run}/commit`)).body.code).toBe('run-ended');
    expect((await lab.call('POST', `/v1/runs/${run}/moment`)).body.code).toBe('run-ended');
    expect([...c1.outcomes.values()]).toEqual(['abandoned']);
    const { store } = await lab.vaults.look('a', 'swift:backups');
    expect(await Array.fromAsync(store.list('staging/'))).toEqual([]);
  });

  test('closes its vault when it has ended', async () => {
    await backUp();
    const run = await start();
    expect(lab.vaults.openNow()).toBe(1);
    await lab.call('DELETE', `/v1/runs/${run}`);
    expect(lab.vaults.openNow()).toBe(0);
  });
});

describe('a member that fails', () => {
  test.each(['prepare', 'freeze', 'checkpoint', 'thaw'])('in %s takes no part, and the others go on', async (step) => {
    const run = await start();
    c2.faults.add(step);
    await lab.call('POST', `/v1/runs/${run}/moment`);
    const { body } = await lab.until(run, 'failed');
    expect(body.counts).toEqual({ staged: 1, failed: 1 });
    expect(problemsOf(body)[DB]).toContain(`${step} of ${DB} failed on purpose`);
    const whole = await lab.call('POST', `/v1/runs/${run}/commit`);
    expect([whole.status, whole.body.code]).toEqual([409, 'run-incomplete']);
    expect(whole.body.detail).toContain(`db (${DB}) is failed`);
    const { body: point } = await lab.call('POST', `/v1/runs/${run}/commit`, { body: { partial: true } });
    expect(point).toMatchObject({ disks: 1, partial: true, missing: [`${DB}/root`, `${DB}/${VOLUME}`] });
    expect([...c1.outcomes.values()]).toEqual(['committed']);
    expect([...c2.outcomes.values()].every((outcome) => outcome === 'abandoned')).toBe(true);
  });

  test.each(['prepare', 'freeze', 'checkpoint'])(
    'because its exporter died before %s is named with the host',
    async (step) => {
      const run = await start();
      // The request before is the last one that it answers.
      if (step === 'prepare') await c2.stop();
      else c2.dieBefore = step;
      await lab.call('POST', `/v1/runs/${run}/moment`);
      const { body } = await lab.until(run, 'failed');
      expect(problemsOf(body)[DB]).toMatch(/exporter of host c2 does not answer/);
      expect((await lab.call('POST', `/v1/runs/${run}/commit`, { body: { partial: true } })).body.disks).toBe(1);
    },
  );

  test('is thawed all the same when it failed after it was frozen', async () => {
    const run = await start();
    c2.faults.add('checkpoint');
    await lab.call('POST', `/v1/runs/${run}/moment`);
    expect(c2.steps.map(({ step }) => step)).toContain('thaw');
  });

  test('in the export is exported again from the moment that is held', async () => {
    const run = await start();
    c2.faults.add('exporting');
    await lab.call('POST', `/v1/runs/${run}/moment`);
    const { body } = await lab.until(run, 'failed');
    expect(problemsOf(body)[DB]).toContain('cannot be read');
    const truth = c2.disks.get(`${DB}/root`)?.moments.get(run);
    c2.disks.get(`${DB}/root`)?.write(0, 1234);
    c2.faults.clear();
    await lab.call('POST', `/v1/runs/${run}/retry`);
    await lab.until(run, 'staged');
    expect((await lab.call('POST', `/v1/runs/${run}/commit`)).body.disks).toBe(3);
    expect(c1.steps.filter(({ step }) => step === 'export')).toHaveLength(1);
    expect(
      (await restored(await lab.vaults.look('a', 'swift:backups'), run, `${DB}/root`)).equals(truth ?? Buffer.alloc(0)),
    ).toBe(true);
  });

  test('when the run starts is in it by name, with the reason', async () => {
    await c2.stop();
    const { body } = await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } });
    expect(problemsOf(body)[DB]).toMatch(/exporter of host c2 does not answer/);
    expect(body.warnings).toEqual([expect.objectContaining({ code: 'unprotected-server', server: DB })]);
    await lab.call('POST', `/v1/runs/${body.run}/moment`);
    await lab.until(body.run, 'failed');
    const { body: point } = await lab.call('POST', `/v1/runs/${body.run}/commit`, { body: { partial: true } });
    expect(point).toMatchObject({ partial: true, missing: [DB] });
  });

  test('is the only one: the moment is refused and can be tried again', async () => {
    const run = await start();
    for (const exporter of [c1, c2]) exporter.faults.add('freeze');
    const refused = await lab.call('POST', `/v1/runs/${run}/moment`);
    expect([refused.status, refused.body.code]).toEqual([502, 'exporter-failed']);
    for (const exporter of [c1, c2]) exporter.faults.clear();
    await stage(run);
  });

  test('that cannot be asked how it does is failed only as long as that lasts', async () => {
    let open: () => void = () => undefined;
    c2.gate = new Promise((resolve) => {
      open = resolve;
    });
    const run = await start();
    await lab.call('POST', `/v1/runs/${run}/moment`);
    c2.faults.add('GET');
    expect(problemsOf((await lab.call('GET', `/v1/runs/${run}`)).body)[DB]).toContain('on purpose');
    c2.faults.clear();
    open();
    await lab.until(run, 'staged');
  });

  test('is not committed while it is still exporting, not even partially', async () => {
    let open: () => void = () => undefined;
    c2.gate = new Promise((resolve) => {
      open = resolve;
    });
    const run = await start();
    await lab.call('POST', `/v1/runs/${run}/moment`);
    const early = await lab.call('POST', `/v1/runs/${run}/commit`, { body: { partial: true } });
    expect([early.status, early.body.code]).toEqual([409, 'run-incomplete']);
    open();
    await lab.until(run, 'staged');
    expect((await lab.call('POST', `/v1/runs/${run}/commit`)).status).toBe(200);
  });
});

describe('a workflow', () => {
  const EVERY_MINUTE = { schedule: { cron: '* * * * *' } };

  test('calls its run by its own id, all the way', async () => {
    const id = randomUUID();
    const run = await start({ id });
    await lab.call('POST', `/v1/runs/${id}/moment`);
    await lab.until(id, 'staged');
    expect((await lab.call('POST', `/v1/runs/${id}/commit`)).body.point).toBe(run);
    expect((await lab.call('GET', `/v1/runs/${id}`)).body).toMatchObject({ run, state: 'committed' });
    expect((await lab.call('GET', `/v1/runs/${id}`, { token: 'bob' })).status).toBe(404);
    expect((await lab.call('GET', `/v1/runs/${randomUUID()}`)).status).toBe(404);
  });

  test('is told by which other one the policy’s run is under way', async () => {
    const id = randomUUID();
    await start({ id });
    const { body } = await lab.call('POST', '/v1/runs', { body: { policy: 'shop', id: randomUUID() } });
    expect([body.code, body.run]).toEqual(['run-under-way', id]);
  });

  test('that a schedule fires is told when the schedule is not due, and starts when it is', async () => {
    const inSixHours = new Date(Date.now() + 6 * 3_600_000);
    const schedule = { cron: `0 ${inSixHours.getUTCHours()} * * *` };
    const wish = { body: { policy: 'shop', reason: 'schedule' } };
    await lab.addPolicy('shop', { servers: [WEB, DB] }, { schedule });
    const { status, body } = await lab.call('POST', '/v1/runs', wish);
    expect([status, body]).toEqual([200, { state: 'not-due', policy: 'shop', nextRun: expect.any(String) }]);
    await lab.addPolicy('shop', { servers: [WEB, DB] }, EVERY_MINUTE);
    const id = randomUUID();
    expect((await lab.call('POST', '/v1/runs', { body: { ...wish.body, id } })).status).toBe(201);
    // The answer was lost, and the schedule is over.
    await lab.addPolicy('shop', { servers: [WEB, DB] }, { schedule });
    expect((await lab.call('POST', '/v1/runs', { body: { ...wish.body, id } })).body.state).toBe('started');
  });

  test('that a schedule fires which the policy has no more is told so', async () => {
    const { body } = await lab.call('POST', '/v1/runs', { body: { policy: 'shop', reason: 'schedule' } });
    expect(body).toEqual({ state: 'not-due', policy: 'shop' });
  });
});

describe('a policy’s restore points', () => {
  test('are told of by their newest one', async () => {
    const run = await backUp();
    expect((await lab.call('GET', '/v1/policies/shop')).body.lastPoint).toBe(run);
  });

  test('stay when the policy is deleted', async () => {
    await backUp();
    expect((await lab.call('DELETE', '/v1/policies/shop')).body.points).toBe('They stay in vault main.');
    expect((await lab.call('GET', '/v1/vaults/main/points')).body.points).toHaveLength(1);
  });

  test('expire with it where that is asked for, but for those that a hold keeps', async () => {
    const [kept] = [await backUp(), await backUp()];
    const { journal } = await lab.vaults.look('a', 'swift:backups');
    const hold = {
      type: 'hold-placed',
      hold: 'court',
      kind: 'legal',
      points: [kept],
      reason: 'test',
      host: 'h',
    } as const;
    await journal.append(() => ({ ...hold, at: new Date().toISOString() }));
    expect((await lab.call('DELETE', '/v1/policies/shop?points=expire')).body.points).toMatch(/^1 expired.*; 1 stay/);
    const { points } = (await lab.call('GET', '/v1/vaults/main/points')).body;
    expect(points.map(({ point }: { point: string }) => point)).toEqual([kept]);
  });
});

describe('a part that lies', () => {
  const lieAbout = async (run: string) => {
    const store = lab.vaults.places.store('a-swift-backups');
    // Disks are numbered as the members are: by server.
    await store.create(`staging/${run}/0001/00000000`, [Buffer.alloc(500, 7)]);
  };

  test('keeps the whole group from being committed, and only its own member from a partial point', async () => {
    const run = await start();
    await lieAbout(run);
    await stage(run);
    const whole = await lab.call('POST', `/v1/runs/${run}/commit`);
    expect([whole.status, whole.body.code]).toEqual([422, 'bad-format']);
    const { status, body } = await lab.call('POST', `/v1/runs/${run}/commit`, { body: { partial: true } });
    expect([status, body.missing]).toEqual([200, [`${DB}/root`, `${DB}/${VOLUME}`]]);
    expect([...c2.outcomes.values()]).toEqual(['abandoned']);
  });
});

describe('a token that ends in the middle', () => {
  test.each(['moment', 'commit'])('is told before the %s, and another one goes on', async (step) => {
    const run = await start();
    if (step === 'commit') await stage(run);
    lab.cloud.tokens.set('short', { project: 'a', roles: ['member'], expiresAt: Date.now() - 1 });
    const refused = await lab.call('POST', `/v1/runs/${run}/${step}`, { token: 'short' });
    expect([refused.status, refused.body.code]).toEqual([401, 'token-refused']);
    expect(refused.body.detail).toContain('Get a new one');
    lab.cloud.tokens.set('fresh', { project: 'a', roles: ['member'], expiresAt: Date.now() + 3_600_000 });
    expect((await lab.call('POST', `/v1/runs/${run}/${step}`, { token: 'fresh' })).status).toBe(200);
  });
});

describe('a start that was broken off before anybody was told', () => {
  const brokenOff = async (minutes: number, process: string, run = '20200101-000000-abcdef') => {
    const at = new Date(Date.now() - minutes * 60_000).toISOString();
    const { journal } = await lab.vaults.look('a', 'swift:backups');
    const disks = [`${WEB}/root`, `${DB}/root`, `${DB}/${VOLUME}`];
    await journal.append(() => ({ type: 'run-started', run, group: 'shop', disks, host: 'catalog', process, at }));
    return run;
  };

  test('is taken over by the same request', async () => {
    const id = randomUUID();
    const run = await brokenOff(0, `request ${id}`);
    expect(await start({ id })).toBe(run);
    await stage(run);
    expect((await lab.call('POST', `/v1/runs/${run}/commit`)).body.disks).toBe(3);
  });

  test('is in the way of others for a few minutes, and then is given up', async () => {
    const run = await brokenOff(1, 'request none');
    expect((await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } })).body.detail).toContain(run);
    await (await lab.vaults.look('a', 'swift:backups')).journal.append(() => ({
      type: 'run-abandoned',
      run,
      reason: 'test',
      at: new Date().toISOString(),
    }));
    const old = await brokenOff(10, 'request none', '20200102-000000-abcdef');
    expect(await start()).not.toBe(old);
  });
});

describe('a server that goes away', () => {
  test('before the run is in it by name, in the middle fails by name, and the others are kept', async () => {
    const run = await start();
    lab.cloud.servers.delete(DB);
    await lab.call('POST', `/v1/runs/${run}/moment`);
    const { body } = await lab.until(run, 'failed');
    expect(problemsOf(body)[DB]).toMatch(/exporter of host c2 answered 404/);
    expect((await lab.call('POST', `/v1/runs/${run}/commit`, { body: { partial: true } })).body.disks).toBe(1);
    const next = await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } });
    expect(problemsOf(next.body)[DB]).toContain('no such server');
  });
});

describe('another process', () => {
  test.each(['started', 'staged'])('goes on with a run that was %s', async (state) => {
    const run = await start();
    if (state === 'staged') await stage(run);
    await lab.restart();
    if (state === 'started') await stage(run);
    expect((await lab.call('GET', `/v1/runs/${run}`)).body.state).toBe('staged');
    expect((await lab.call('POST', `/v1/runs/${run}/commit`)).body.disks).toBe(3);
  });

  test('gives the same run to the same id', async () => {
    const id = randomUUID();
    const run = await start({ id });
    await lab.restart();
    expect((await lab.call('POST', '/v1/runs', { body: { policy: 'shop', id } })).body.run).toBe(run);
  });

  test('ends first what a moment that was broken off has left, and takes a new one', async () => {
    const run = await start();
    for (const step of ['freeze', 'checkpoint']) {
      await lab.call('GET', `/v1/runs/${run}`);
      const headers = { 'x-auth-token': 'alice', 'content-type': 'application/json' };
      const at = `${c1.url()}/v1/runs/${run}/servers/${WEB}`;
      await fetch(at, { method: 'PUT', headers, body: JSON.stringify({ catalog: lab.url() }) });
      await fetch(`${at}/${step}`, { method: 'POST', headers });
    }
    await lab.restart();
    c1.disks.get(`${WEB}/root`)?.write(7, 4711);
    await stage(run);
    await lab.call('POST', `/v1/runs/${run}/commit`);
    const now = c1.disks.get(`${WEB}/root`)?.moments.get(run);
    const steps = c1.steps.map(({ step }) => step);
    expect(steps.indexOf('DELETE')).toBeLessThan(steps.lastIndexOf('checkpoint'));
    expect(steps).toContain('DELETE');
    expect(
      (await restored(await lab.vaults.look('a', 'swift:backups'), run, `${WEB}/root`)).equals(now ?? Buffer.alloc(0)),
    ).toBe(true);
  });

  test('that commits at the same time commits the same point', async () => {
    const run = await start();
    await stage(run);
    const [one, two] = await Promise.all([1, 2].map(() => lab.call('POST', `/v1/runs/${run}/commit`)));
    expect([one?.status, two?.status, one?.body]).toEqual([200, 200, two?.body]);
  });
});

describe('a ticket', () => {
  test('is for the members of the run, and for as long as it is open', async () => {
    const run = await start();
    const { body } = await lab.call('GET', `/v1/runs/${run}/members/${DB}/ticket`);
    expect(body.disks.map(({ name }: { name: string }) => name)).toEqual([`${DB}/root`, `${DB}/${VOLUME}`]);
    expect((await lab.call('GET', `/v1/runs/${run}/members/${VOLUME}/ticket`)).status).toBe(404);
    expect((await lab.call('GET', `/v1/runs/${run}/members/${DB}/ticket`, { token: 'reader' })).status).toBe(403);
    await lab.call('DELETE', `/v1/runs/${run}`);
    expect((await lab.call('GET', `/v1/runs/${run}/members/${DB}/ticket`)).body.code).toBe('run-ended');
  });

  test('shows nowhere else: neither in answers nor in the registry', async () => {
    const run = await start();
    const { body } = await lab.call('GET', `/v1/runs/${run}/members/${DB}/ticket`);
    await stage(run);
    const records = await Promise.all(
      (await Array.fromAsync(lab.registry.list(''))).map(({ key }) => lab.registry.get(key)),
    );
    const seen = Buffer.concat(records).toString() + JSON.stringify((await lab.call('GET', `/v1/runs/${run}`)).body);
    for (const secret of [...body.disks.map(({ token }: { token: string }) => token), body.upload.query, 'alice']) {
      expect(seen).not.toContain(secret);
    }
  });

  test('holds the key of segment ids, and lets its exporter ask what the vault has, only where the policy says so', async () => {
    await backUp();
    const ask = (run: string, server: string, body: object) =>
      lab.call('POST', `/v1/runs/${run}/members/${server}/known`, { body });
    const ticketIn = async (run: string) => (await lab.call('GET', `/v1/runs/${run}/members/${WEB}/ticket`)).body;
    const question = { disk: 0, runs: [[1, 1]], ids: Buffer.alloc(32, 1).toString('base64') };
    const silent = await start();
    expect((await ticketIn(silent)).idKey).toBeUndefined();
    const { status, body } = await ask(silent, WEB, question);
    expect([status, body.code]).toEqual([403, 'forbidden']);
    await lab.call('DELETE', `/v1/runs/${silent}`);

    await lab.addPolicy('shop', { servers: [WEB, DB] }, { sourceDedupe: true });
    const run = await start();
    const { idKey, disks } = await ticketIn(run);
    const key = createSecretKey(idKey, 'base64');
    const ids = [11, 12].map((content) => segmentId({ idKey: key }, Buffer.alloc(65_536, `content ${content} `)));
    const known = { runs: [[1, 2]], ids: Buffer.concat(ids).toString('base64') };
    expect((await ask(run, WEB, { ...question, ...known, lineage: disks[0].points[0].manifest })).body).toEqual({
      ...{ packs: [expect.stringMatching(/^[0-9a-f]{96}$/)], known: [1, 0] },
    });
    const refused = async (server: string, wrong: object) => {
      const answer = await ask(run, server, { ...question, ...wrong });
      return [answer.status, answer.body.code];
    };
    expect(await refused(WEB, { disk: 1 })).toEqual([404, 'not-found']);
    expect(await refused(randomUUID(), {})).toEqual([404, 'not-found']);
    for (const wrong of [
      { runs: [[1, 2]] },
      {
        runs: [
          [5, 1],
          [1, 1],
        ],
        ids: Buffer.alloc(64).toString('base64'),
      },
      { ids: Buffer.alloc(33).toString('base64') },
      { runs: [[0, 2000]], ids: Buffer.alloc(2000 * 32).toString('base64') },
      { lineage: 'x' },
      { packs: ['x'] },
    ])
      expect(await refused(WEB, wrong)).toEqual([400, 'bad-input']);
    const records = await Array.fromAsync(lab.registry.list(''), ({ key: record }) => lab.registry.get(record));
    expect(Buffer.concat(records).toString()).not.toContain(idKey);
    const stranger = await lab.call('POST', `/v1/runs/${run}/members/${WEB}/known`, {
      token: 'bob',
      body: question,
    });
    expect(stranger.status).toBe(404);
  });

  test('notices name parts of their own run only', async () => {
    const run = await start();
    const keys = ['staging/20200101-000000-abcdef/0000/00000000'];
    expect((await lab.call('POST', `/v1/runs/${run}/notices`, { body: { keys } })).status).toBe(400);
    expect(
      (await lab.call('POST', `/v1/runs/${run}/notices`, { body: { keys: [`staging/${run}/0000/00000000`], more: 1 } }))
        .status,
    ).toBe(400);
  });
});

describe('another project', () => {
  test('sees nothing of a run, in whatever way it asks', async () => {
    const run = await start();
    const calls = [
      ['GET', `/v1/runs/${run}`],
      ['DELETE', `/v1/runs/${run}`],
      ['POST', `/v1/runs/${run}/moment`],
      ['POST', `/v1/runs/${run}/commit`],
      ['POST', `/v1/runs/${run}/retry`],
      ['GET', `/v1/runs/${run}/members/${WEB}/ticket`],
    ] as const;
    for (const [method, path] of calls) {
      expect([path, (await lab.call(method, path, { token: 'bob' })).status]).toEqual([path, 404]);
      expect([path, (await lab.call(method, path, { token: 'admin' })).status]).toEqual([path, 404]);
    }
    const notices = { token: 'bob', body: { keys: [`staging/${run}/0000/00000000`] } };
    expect((await lab.call('POST', `/v1/runs/${run}/notices`, notices)).status).toBe(404);
    expect((await lab.call('POST', '/v1/runs', { token: 'bob', body: { policy: 'shop' } })).status).toBe(404);
    expect(c1.steps).toEqual([]);
  });
});
