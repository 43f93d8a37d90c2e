import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changesBetween } from '#vault/changes/changes.ts';
import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import type { Topology } from '#vault/format/topology.ts';
import type { TopologyRule } from '#vault/format/topology-network.ts';
import { exampleServer, exampleTopology, exampleVolume } from '../../../example-topology.ts';

const GIB = 1024 ** 3;

function disk(name: string, size: number): PointDisk {
  return {
    ...{ name, diskSize: size, manifest: 'm', base: undefined, fullReason: undefined, origin: 'x', takenAt: 'now' },
    ...{ consistency: 'crash', consistencyNote: '', frozenMs: 0, changedBytes: 0, newBytes: 0, storedBytes: 0 },
    assurance: { auditedSegments: 0, auditFailures: 0 },
  };
}

/** A point of all disks that the topology wants. */
function pointOf(topology: Topology | undefined, disks?: readonly PointDisk[]): RestorePoint {
  const wanted = topology?.servers.flatMap(({ disks: all }) => all.filter((each) => each.wanted)) ?? [];
  return {
    ...{ id: '20261121-030000-aabbcc', group: 'shop', takenAt: 'now' },
    disks: disks ?? wanted.map(({ name, size = 0 }) => disk(name, size)),
    ...(topology === undefined ? {} : { topology }),
  };
}

const textsOf = (before: Topology, after: Topology) =>
  changesBetween(pointOf(before), pointOf(after)).map(({ text }) => text);

test('what an owner wants to know is told in a line each', () => {
  const before = exampleTopology();
  const [group] = before.securityGroups;
  const rule: TopologyRule = {
    ...{ id: 'rule-2', direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp', portMin: 443, portMax: 443 },
    remoteCidr: '0.0.0.0/0',
  };
  const [web] = before.servers;
  const after: Topology = {
    ...before,
    servers: [
      { ...exampleServer('server-1', 'web-1'), flavor: { ...flavor(web), name: 'm1.large', ramMiB: 4096 }, tags: [] },
      exampleServer('server-3', 'web-3'),
    ],
    volumes: [exampleVolume('volume-server-1', 'data', 20 * GIB), exampleVolume('volume-server-3', 'data of 3')],
    securityGroups: group === undefined ? [] : [{ ...group, rules: [...group.rules, rule] }],
    unprotected: [],
  };
  expect(textsOf(before, after)).toEqual([
    'server web-1: flavor changed from m1.small (1 vCPU, 2048 MiB, 20 GiB) to m1.large (1 vCPU, 4096 MiB, 20 GiB)',
    'server web-1: tag backup removed',
    'server web-3 added',
    'volume data grew from 10 to 20 GiB',
    'volume data of 3 added',
    'protection of server db-1 is no longer missing',
    'security group web: rule ingress IPv4 tcp 443 from 0.0.0.0/0 added',
  ]);
  expect(changesBetween(pointOf(after), pointOf(before))[3]).toEqual({
    ...{ kind: 'volume', name: 'data', change: 'changed' },
    text: 'volume data shrank from 20 to 10 GiB',
  });
});

function flavor(server: ReturnType<typeof exampleServer> | undefined) {
  return server?.flavor ?? expect.fail('no flavor');
}

test('a stack that was updated has not changed its resources by that', () => {
  const { stack, ...rest } = exampleTopology();
  const after = stack?.resources.map((resource) => ({ ...resource, status: 'UPDATE_COMPLETE' })) ?? [];
  expect(textsOf(exampleTopology(), { ...rest, ...(stack && { stack: { ...stack, resources: after } }) })).toEqual([]);
  const failed = after.map((resource) => ({ ...resource, status: 'UPDATE_FAILED' }));
  expect(textsOf(exampleTopology(), { ...rest, ...(stack && { stack: { ...stack, resources: failed } }) })).toEqual([
    'resource web: state changed from complete to UPDATE_FAILED',
  ]);
});

test('of points without a topology the disks are told', () => {
  const before = pointOf(undefined, [disk('vda', 10 * GIB), disk('vdb', GIB)]);
  const after = { ...pointOf(undefined, [disk('vda', 12 * GIB), disk('vdc', GIB)]), missing: ['vdd'] };
  expect(changesBetween(before, after).map(({ text }) => text)).toEqual([
    'disk vda grew from 10 to 12 GiB',
    'disk vdb removed',
    'disk vdc added',
    'disk vdd is missing',
  ]);
});

test('a point whose topology could not be read is compared by its disks alone', () => {
  const lost = { ...exampleTopology(), servers: [], omitted: [{ part: 'topology', why: 'x' }] };
  const disks = pointOf(exampleTopology()).disks;
  expect(changesBetween(pointOf(exampleTopology()), pointOf(lost, disks))).toEqual([]);
});

describe('any two points:', () => {
  const topologies = fc
    .record({
      servers: fc.uniqueArray(fc.record({ id: fc.integer({ min: 1, max: 6 }), name: fc.string({ maxLength: 6 }) }), {
        selector: ({ id }) => id,
      }),
      volumes: fc.uniqueArray(fc.record({ id: fc.integer({ min: 1, max: 6 }), size: fc.integer({ min: 1, max: 4 }) }), {
        selector: ({ id }) => id,
      }),
      rules: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 }),
    })
    .map(({ servers, volumes, rules }): Topology => {
      const base = exampleTopology();
      return {
        ...base,
        servers: servers.map(({ id, name }) => exampleServer(`server-${id}`, name)),
        ports: servers.flatMap(({ id }) =>
          base.ports.map((port) => ({ ...port, id: `port-${id}`, server: `server-${id}` })),
        ),
        volumes: volumes.map(({ id, size }) => exampleVolume(`volume-server-${id}`, `data-${id}`, size * GIB)),
        securityGroups: base.securityGroups.map((group) => ({
          ...group,
          rules: rules.map((port, i) => ({
            ...({ id: `rule-${i}`, direction: 'ingress', ethertype: 'IPv4' } as const),
            ...{ protocol: 'tcp', portMin: port, portMax: port },
          })),
        })),
      };
    });

  test('a point and itself differ in nothing', () => {
    fc.assert(
      fc.property(topologies, (topology) => {
        expect(changesBetween(pointOf(topology), pointOf(topology))).toEqual([]);
      }),
    );
  });

  test('order in lists is no change', () => {
    const shuffled = topologies.chain((topology) =>
      fc
        .tuple(
          fc.shuffledSubarray([...topology.servers], whole(topology.servers)),
          fc.shuffledSubarray([...topology.volumes], whole(topology.volumes)),
        )
        .map(([servers, volumes]) => [topology, { ...topology, servers, volumes }] as const),
    );
    fc.assert(
      fc.property(shuffled, ([one, other]) => {
        expect(textsOf(one, other)).toEqual([]);
      }),
    );
  });

  test('what is added one way is removed the other way, and as much is changed', () => {
    fc.assert(
      fc.property(topologies, topologies, (one, other) => {
        const [there, back] = [
          changesBetween(pointOf(one), pointOf(other)),
          changesBetween(pointOf(other), pointOf(one)),
        ];
        const names = (list: typeof there, change: string) =>
          list
            .filter((each) => each.change === change)
            .map(({ kind, name }) => `${kind} ${name}`)
            .sort();
        expect(names(there, 'added')).toEqual(names(back, 'removed'));
        expect(names(there, 'removed')).toEqual(names(back, 'added'));
        expect(names(there, 'changed').length).toBe(names(back, 'changed').length);
      }),
    );
  });

  test('each server that came or went is told once, and what comes with it is not', () => {
    fc.assert(
      fc.property(topologies, topologies, (one, other) => {
        const changes = changesBetween(pointOf(one), pointOf(other));
        const ids = (topology: Topology) => new Set(topology.servers.map(({ id }) => id));
        const passing =
          [...ids(one)].filter((id) => !ids(other).has(id)).length +
          [...ids(other)].filter((id) => !ids(one).has(id)).length;
        expect(changes.filter(({ kind, change }) => kind === 'server' && change !== 'changed')).toHaveLength(passing);
        const passingWith = changes.filter(
          ({ kind, change }) => ['disk', 'port'].includes(kind) && change !== 'changed',
        );
        expect(passingWith).toEqual([]);
      }),
    );
  });
});

const whole = (list: readonly unknown[]) => ({ minLength: list.length, maxLength: list.length });

describe('every single value:', () => {
  /** What tells nothing of how the group is built, or is told elsewhere. */
  const UNTOLD = [
    /^readAt$/,
    /^omitted/,
    /\.rules\.\d+\.id$/,
    /\.floatingIps\.\d+\.id$/,
    /\.interfaces\.\d+\.port$/,
    /^servers\.\d+\.flavor\.id$/,
    /^servers\.\d+\.image\.name$/,
    /^servers\.\d+\.disks\.1\.(volume|size)$/,
    /^networks\.\d+\.own$/,
    /^unprotected\.\d+\.name$/,
  ];
  const example = { ...exampleTopology(), omitted: [] };
  const paths = leavesOf(example);

  function leavesOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
    if (typeof value !== 'object' || value === null) return [path];
    return Object.entries(value).flatMap(([name, each]) => leavesOf(each, [...path, name]));
  }

  /** The example with another value there, of the same kind. */
  function changedAt(path: readonly string[]): Topology {
    const copy = structuredClone(example) as unknown as Record<string, unknown>;
    const last = path.at(-1) ?? '';
    let at = copy;
    for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>;
    const value = at[last];
    at[last] =
      typeof value === 'boolean' ? !value : typeof value === 'number' ? value + GIB : otherText(last, String(value));
    return copy as unknown as Topology;
  }

  const otherText = (name: string, value: string) =>
    ({ kind: value === 'fixed' ? 'floating' : 'fixed', direction: 'egress' })[name] ?? `${value}-other`;

  test.each(paths.map((path) => [path.join('.'), path] as const))('a change of %s', (name, path) => {
    const changes = changesBetween(pointOf(example), pointOf(changedAt(path)));
    expect(changes.length > 0).toBe(!UNTOLD.some((pattern) => pattern.test(name)));
    for (const { text } of changes) {
      expect(text).not.toMatch(/\p{Cc}/u);
      expect(text.length).toBeLessThan(500);
    }
  });

  test('user data and templates are not shown', () => {
    for (const path of [
      ['servers', '0', 'userData'],
      ['stack', 'template'],
      ['stack', 'environment'],
    ]) {
      const [text = ''] = textsOf(example, changedAt(path));
      expect(text).toMatch(/changed$/);
      expect(text).not.toContain('other');
    }
  });
});

describe('what one of two points could not read is not told:', () => {
  const LISTS = [
    ...['servers', 'ports', 'networks', 'subnets', 'routers', 'securityGroups', 'keyPairs', 'volumes', 'serverGroups'],
    'images',
  ] as const;

  test.each(LISTS)('%s', (list) => {
    const full = exampleTopology();
    const lacking = { ...full, [list]: [], omitted: [...full.omitted, { part: list, why: 'It was down.' }] };
    expect(changesBetween(pointOf(full), pointOf(lacking, pointOf(full).disks))).toEqual([]);
    expect(changesBetween(pointOf(lacking, pointOf(full).disks), pointOf(full))).toEqual([]);
    const empty = { ...full, [list]: [] };
    expect(changesBetween(pointOf(full), pointOf(empty, pointOf(full).disks))).not.toEqual([]);
  });

  test('a field, one object of a list, the stack', () => {
    const full = exampleTopology();
    const { stack, ...rest } = full;
    const { template: _template, ...bare } = stack ?? expect.fail('no stack');
    const without = (topology: object, part: string) =>
      textsOf(full, { ...full, ...topology, omitted: [...full.omitted, { part, why: 'x' }] } as Topology);
    expect(without({ stack: bare }, 'stack.template')).toEqual([]);
    expect(without({ keyPairs: [] }, 'keyPairs.ops')).toEqual([]);
    expect(textsOf(full, { ...rest, omitted: [...full.omitted, { part: 'stack', why: 'x' }] })).toEqual([]);
    expect(textsOf(full, rest)).toEqual(['stack shop removed']);
    const [port, ...others] = full.ports;
    const bound = port === undefined ? [] : [{ ...port, floatingIps: [] }, ...others];
    expect(without({ ports: bound }, 'ports.floatingIps')).toEqual([]);
  });
});
