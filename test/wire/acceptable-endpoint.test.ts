import { expect, test } from 'vitest';
import {
  ANYWHERE,
  acceptableEndpoint,
  type EndpointFault,
  endpointFault,
  explainEndpointFault,
  type LocalFacts,
} from '../../src/wire/acceptable-endpoint.ts';
import { parseAddress, parseEndpoint } from '../../src/wire/address-text.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';

const endpoint = (text: string): Endpoint => parseEndpoint(text)!;

const local: LocalFacts = {
  port: 51820,
  addresses: [
    { address: parseAddress('192.0.2.7')!, length: 26 },
    { address: parseAddress('2001:db8::7')!, length: 64 },
  ],
  loopback: true,
  isRoutedIntoTunnel: (address) => address[0] === 10 || address[0] === 0xfd,
};

test.each<[string, EndpointFault]>([
  ['0.0.0.0:1', 'notUnicast'],
  ['0.1.2.3:1', 'notUnicast'],
  ['224.0.0.1:1', 'notUnicast'],
  ['239.255.255.255:1', 'notUnicast'],
  ['240.0.0.1:1', 'notUnicast'],
  ['255.255.255.255:1', 'notUnicast'],
  ['[::]:1', 'notUnicast'],
  ['[ff02::1%2]:1', 'notUnicast'],
  ['[fe80::1]:1', 'noScope'],
])('%s is no endpoint anywhere', (text, fault) => {
  expect(endpointFault(endpoint(text), ANYWHERE)).toBe(fault);
  expect(endpointFault(endpoint(text), local)).toBe(fault);
});

test.each(['192.0.2.1:51820', '10.0.0.1:1', '127.0.0.1:1', '[::1]:1', '[fe80::1%2]:1'])(
  '%s may be one',
  (text) => {
    expect(acceptableEndpoint(endpoint(text), ANYWHERE)).toBe(true);
  },
);

test('port 0 and IPv4 in the form of IPv6 are refused however they were made', () => {
  expect(endpointFault({ ...endpoint('192.0.2.1:1'), port: 0 }, ANYWHERE)).toBe('noPort');
  const address = parseAddress('::ffff:192.0.2.1')!;
  expect(endpointFault({ family: 6, address, port: 1, scope: 0 }, ANYWHERE)).toBe('notCanonical');
});

test('what the device routes into the tunnel is refused', () => {
  expect(endpointFault(endpoint('10.10.0.3:51820'), local)).toBe('routedIntoTunnel');
  expect(endpointFault(endpoint('[fd00::3]:51820'), local)).toBe('routedIntoTunnel');
});

test('the own socket is refused, another one of the same machine is not', () => {
  for (const text of ['192.0.2.7', '[2001:db8::7]', '127.0.0.1', '127.1.2.3', '[::1]']) {
    expect(endpointFault(endpoint(`${text}:51820`), local), text).toBe('ownSocket');
    expect(endpointFault(endpoint(`${text}:51821`), local), text).toBeUndefined();
  }
});

test('the broadcast addresses of the own networks are refused, other hosts there are not', () => {
  for (const text of ['192.0.2.63', '192.0.2.0']) {
    expect(endpointFault(endpoint(`${text}:9`), local), text).toBe('notUnicast');
  }
  for (const text of ['192.0.2.62', '192.0.2.64', '192.0.2.127', '192.0.2.255', '192.1.2.63']) {
    expect(endpointFault(endpoint(`${text}:9`), local), text).toBeUndefined();
  }
  const pair = { ...local, addresses: [{ address: parseAddress('192.0.2.6')!, length: 31 }] };
  expect(endpointFault(endpoint('192.0.2.7:9'), pair)).toBeUndefined();
});

test('loopback is refused where peers are on other machines', () => {
  const remote = { ...local, loopback: false };
  for (const text of ['127.0.0.1:1', '127.255.0.9:51820', '[::1]:1']) {
    expect(endpointFault(endpoint(text), remote), text).toBe('loopback');
  }
});

test('a fault is explained in a sentence', () => {
  expect(explainEndpointFault('10.10.0.3:51820', 'routedIntoTunnel')).toBe(
    '10.10.0.3:51820 is inside the tunnel that it would carry',
  );
});
