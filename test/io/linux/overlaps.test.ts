import { describe, expect, test } from 'vitest';
import { explainOverlap, overlapping, routedNetworks } from '../../../src/io/linux/overlaps.ts';
import { formatPrefix, parsePrefix } from '../../../src/wire/address-text.ts';

const network = (interfaceName: string, prefix: string) => ({
  interfaceName,
  prefix: parsePrefix(prefix)!,
  text: `${prefix} of ${interfaceName}`,
});

test('the routes of the kernel are read, but for the default one and those that are down', () => {
  const table = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'eth1\t00000A0A\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'vpn0\t0000100A\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0',
    '',
  ].join('\n');
  const found = routedNetworks(table).map(
    (one) => `${one.interfaceName} ${formatPrefix(one.prefix)}`,
  );
  expect(found).toEqual(['eth0 192.0.2.0/24', 'vpn0 10.16.0.0/12']);
});

describe('the range of a mesh', () => {
  test.each([
    ['the very same', '10.10.0.0/24', true],
    ['one that is larger', '10.0.0.0/8', true],
    ['one inside', '10.10.0.128/25', true],
    ['a single host of it', '10.10.0.7/32', true],
    ['its neighbour', '10.10.1.0/24', false],
    ['another one', '192.168.0.0/16', false],
  ])('beside %s', (_what, prefix, isTaken) => {
    const found = overlapping('10.10.0.0/24', 'mesh0', [network('eth0', prefix)]);
    expect(found !== undefined).toBe(isTaken);
  });

  test('our own interface is no overlap', () => {
    const networks = [network('mesh0', '10.10.0.0/24')];
    expect(overlapping('10.10.0.0/24', 'mesh0', networks)).toBeUndefined();
    expect(overlapping('10.10.0.0/24', undefined, networks)).toBeDefined();
  });

  test('the sentence names both, and the remedy', () => {
    const sentence = explainOverlap('10.10.0.0/24', network('eth0', '10.10.0.5/24'));
    expect(sentence).toContain('10.10.0.0/24, overlap 10.10.0.5/24 of eth0');
    expect(sentence).toContain('--tunnel-prefix');
  });
});
