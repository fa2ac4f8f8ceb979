import { afterEach, describe, expect, test } from 'vitest';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { PROTOCOL } from '../../src/contract/protocol.ts';
import { claimFault } from '../../src/controller/endpoint-claims.ts';
import { acceptableOffer } from '../../src/controller/operations/endpoint-claim.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';

const FROM_OUTSIDE = {
  from: '::ffff:198.51.100.7',
  to: { address: '::ffff:203.0.113.1', port: 8440 },
  tunnelPrefix: '10.10.0.0/24',
  isAnothers: (endpoint: string) => endpoint === '198.51.100.8:51820',
};

describe('endpoints that nobody is sent to', () => {
  test.each([
    ['rubbish', 'example.org:51820', 'is no endpoint'],
    ['no port', '198.51.100.7:0', 'is no endpoint'],
    ['loopback', '127.0.0.1:51820', 'loopback'],
    ['loopback of IPv6', '[::1]:51820', 'loopback'],
    ['everywhere', '0.0.0.0:51820', 'not the address of one machine'],
    ['this network', '0.1.2.3:51820', 'not the address of one machine'],
    ['broadcast', '255.255.255.255:51820', 'not the address of one machine'],
    ['multicast', '224.0.0.251:5353', 'not the address of one machine'],
    ['reserved', '240.0.0.1:51820', 'not the address of one machine'],
    ['multicast of IPv6', '[ff02::1]:51820', 'not the address of one machine'],
    ['link-local', '[fe80::1]:51820', 'without its interface'],
    ['IPv4 in IPv6', '[::ffff:198.51.100.7]:51820', '198.51.100.7:51820 is how it is written'],
    ['another spelling', '[2001:db8:0:0::7]:51820', '[2001:db8::7]:51820 is how it is written'],
    ['inside the tunnel', '10.10.0.9:51820', 'inside the tunnel'],
    ['the controller', '203.0.113.1:8440', 'is the controller'],
    ["another member's", '198.51.100.8:51820', "another node's"],
    ["a third party's DNS", '192.0.2.53:53', 'service port'],
    ["a third party's NTP", '192.0.2.53:123', 'service port'],
  ])('%s', (_what, endpoint, why) => {
    expect(claimFault(endpoint, FROM_OUTSIDE)).toContain(why);
  });

  test.each([
    ['its own', '198.51.100.7:51820'],
    ['its own, on a service port', '198.51.100.7:443'],
    ['one behind another address of its own', '192.0.2.9:51820'],
    ['IPv6', '[2001:db8::7]:51820'],
    ['beside the controller', '203.0.113.1:51820'],
  ])('but %s is taken', (_what, endpoint) => {
    expect(claimFault(endpoint, FROM_OUTSIDE)).toBeUndefined();
  });

  test('loopback is taken where the controller is on the same machine', () => {
    const from = '127.0.0.1';
    expect(claimFault('127.0.0.1:51820', { ...FROM_OUTSIDE, from })).toBeUndefined();
  });
});

describe('where a node offers to be', () => {
  const mesh = {
    settings: { tunnelPrefix: FROM_OUTSIDE.tunnelPrefix },
    directory: { isElsewhere: (endpoint: string) => endpoint === '192.168.1.5:51820' },
  };
  const taken = (candidates: readonly string[], seenPort?: number, from = FROM_OUTSIDE.from) =>
    acceptableOffer(mesh, 'own', { candidates, seenPort }, { from, to: FROM_OUTSIDE.to });

  test('is its first address, where the controller saw it, and its others', () => {
    expect(taken(['10.0.0.2:5000', '172.16.0.2:5000'], 5000)).toEqual({
      endpoint: '10.0.0.2:5000',
      candidates: ['198.51.100.7:5000', '172.16.0.2:5000'],
    });
  });

  test('is one place where all are the same', () => {
    expect(taken(['198.51.100.7:5000'], 5000)).toEqual({ endpoint: '198.51.100.7:5000' });
  });

  test("leaves out what is nobody's endpoint, or another node's", () => {
    const bad = [
      '192.168.1.5:51820',
      '127.0.0.1:5000',
      '10.10.0.9:5000',
      '224.0.0.1:5000',
      'x',
      '10.0.0.2:0',
    ];
    expect(taken(bad, 5000)).toEqual({ endpoint: '198.51.100.7:5000' });
    expect(taken(bad)).toEqual({ endpoint: null });
    expect(taken([...bad.slice(0, 3), '10.0.0.2:5000'])).toEqual({ endpoint: '10.0.0.2:5000' });
  });

  test('is four places at most', () => {
    const many = [2, 3, 4, 5].map((host) => `10.0.0.${host}:5000`);
    expect(taken(many, 5000).candidates).toEqual([
      '198.51.100.7:5000',
      '10.0.0.3:5000',
      '10.0.0.4:5000',
    ]);
  });

  test('is not loopback, from where all come that a proxy of this machine lets through', () => {
    expect(taken(['10.0.0.2:5000'], 5000, '127.0.0.1')).toEqual({ endpoint: '10.0.0.2:5000' });
  });
});

describe('over the network', () => {
  let mesh: TestMesh;
  afterEach(() => mesh.stop());

  const put = (node: Awaited<ReturnType<TestMesh['enrol']>>, endpoint: string | null) => {
    const query = endpoint === null ? '' : `?endpoint=${encodeURIComponent(endpoint)}`;
    const url = `${mesh.url}/v1/nodes/${node.nodeId}/endpoint${query}`;
    const headers = node.signed(url, SIGNATURE_TAGS.endpoint, mesh.clock.now(), { method: 'PUT' });
    return call(url, { method: 'PUT', headers });
  };

  test('a lie at enrolment is refused and uses up no token', async () => {
    mesh = await TestMesh.start();
    const liar = await mesh.enrol('a', 1);
    expect(problemOf(await put(liar, '255.255.255.255:9'))).toMatchObject({
      status: 422,
      code: 'endpoint_refused',
      field: 'endpoint',
    });
  });

  test("another's endpoint is refused until that node has moved or is gone", async () => {
    mesh = await TestMesh.start();
    const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
    const here = '127.0.0.1:5555';
    expect((await put(a, here)).status).toBe(200);
    expect(problemOf(await put(b, here)).code).toBe('endpoint_refused');
    expect((await put(a, here)).status).toBe(200); // its own is not another's
    expect((await put(a, '127.0.0.1:6666')).status).toBe(200);
    expect((await put(b, here)).status).toBe(200);
    expect(problemOf(await put(a, here)).code).toBe('endpoint_refused');
    await mesh.admin('DELETE', '/v1/nodes/b');
    expect((await put(a, here)).status).toBe(200);
  });

  test('members hear of a new endpoint with the next epoch', async () => {
    mesh = await TestMesh.start();
    const a = await mesh.enrol('a', 1);
    const b = await mesh.enrol('b', 2);
    await mesh.report(0.9, a, b);
    await mesh.rotate();
    const before = await mesh.config(b);
    expect((await put(a, '127.0.0.1:5555')).status).toBe(200);
    await mesh.rotate();
    expect((await mesh.config(b)).peers[0]).toMatchObject({ endpoint: '127.0.0.1:5555' });
    expect(before.peers[0]!.endpoint).not.toBe('127.0.0.1:5555');
    await mesh.restart();
    await mesh.rotate();
    expect((await mesh.config(b)).peers[0]).toMatchObject({ endpoint: '127.0.0.1:5555' });
    expect((await put(a, null)).status).toBe(200);
    await mesh.rotate();
    expect((await mesh.config(b)).peers[0]).toMatchObject({ endpoint: null });
  });

  test('members are told of all places, who speaks the first protocol of the first', async () => {
    mesh = await TestMesh.start();
    const a = await mesh.enrol('a', 1);
    const b = await mesh.enrol('b', 2);
    await mesh.report(0.9, a, b);
    const offer = async (list: string, port = '5555') => {
      const url = `${mesh.url}/v1/nodes/a/endpoint?candidates=${encodeURIComponent(list)}&seen_port=${port}`;
      const headers = a.signed(url, SIGNATURE_TAGS.endpoint, mesh.clock.now(), { method: 'PUT' });
      return call(url, { method: 'PUT', headers });
    };
    const answer = await offer('127.0.0.1:5555,192.0.2.5:5555,[2001:db8::5]:5555');
    const places = {
      endpoint: '127.0.0.1:5555',
      candidates: ['192.0.2.5:5555', '[2001:db8::5]:5555'],
    };
    expect(JSON.parse(answer.text)).toEqual({ node_id: 'a', ...places });
    await mesh.rotate();
    expect((await mesh.config(b)).peers[0]).toMatchObject({ endpoint: places.endpoint });
    expect((await mesh.config(b)).peers[0]).not.toHaveProperty('candidates');
    expect((await mesh.config(b, PROTOCOL)).peers[0]).toMatchObject(places);
    await mesh.restart();
    await mesh.rotate();
    expect((await mesh.config(b, PROTOCOL)).peers[0]).toMatchObject(places);
    for (const list of ['', 'a,b,c,d,e', '192.0.2.5:1;192.0.2.6:1']) {
      expect((await offer(list)).status, list).toBe(422);
    }
    for (const port of ['0', '99999', 'x'])
      expect((await offer('192.0.2.5:1', port)).status).toBe(422);
    expect((await put(a, '127.0.0.1:5555')).status).toBe(200);
    await mesh.rotate();
    expect((await mesh.config(b, PROTOCOL)).peers[0]).not.toHaveProperty('candidates');
  });

  test('only the node itself moves its endpoint', async () => {
    mesh = await TestMesh.start();
    const a = await mesh.enrol('a', 1);
    await mesh.enrol('b', 2);
    const url = `${mesh.url}/v1/nodes/b/endpoint?endpoint=127.0.0.1%3A5555`;
    const headers = a.signed(url, SIGNATURE_TAGS.endpoint, mesh.clock.now(), { method: 'PUT' });
    expect(problemOf(await call(url, { method: 'PUT', headers })).code).toBe('wrong_node');
    expect((await call(url, { method: 'PUT' })).status).toBe(401);
    const other = `${url}6`;
    expect((await call(other, { method: 'PUT', headers })).status).toBe(401);
  });
});
