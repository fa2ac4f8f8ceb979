import { afterEach, describe, expect, test } from 'vitest';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { claimFault } from '../../src/controller/endpoint-claims.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';

const FROM_OUTSIDE = {
  from: '::ffff:198.51.100.7',
  to: { address: '::ffff:203.0.113.1', port: 8440 },
  tunnelPrefix: '10.10.0.0/24',
  others: ['198.51.100.8:51820', null],
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

  test('only the node itself moves its endpoint', async () => {
    mesh = await TestMesh.start();
    const a = await mesh.enrol('a', 1);
    await mesh.enrol('b', 2);
    const url = `${mesh.url}/v1/nodes/b/endpoint?endpoint=127.0.0.1%3A5555`;
    const headers = a.signed(url, SIGNATURE_TAGS.endpoint, mesh.clock.now(), { method: 'PUT' });
    expect(problemOf(await call(url, { method: 'PUT', headers })).code).toBe('wrong_node');
    expect((await call(url, { method: 'PUT' })).status).toBe(401);
    const other = url.replace('5555', '6666');
    expect((await call(other, { method: 'PUT', headers })).status).toBe(401);
  });
});
