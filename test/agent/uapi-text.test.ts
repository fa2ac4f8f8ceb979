import { expect, test } from 'vitest';
import { formatSet, parseGet } from '../../src/agent/uapi-text.ts';
import { parsePrefix } from '../../src/wire/address-text.ts';

test('IPv6 allowed-ips are written and read as what they are', () => {
  const prefix = parsePrefix('fd00::2/128')!;
  const publicKey = new Uint8Array(32).fill(7);
  const text = formatSet({ peers: [{ publicKey, allowedIps: [{ prefix }] }] });
  expect(text).toContain('allowed_ip=fd00::2/128\n');
  const answer = `public_key=${publicKey.toHex()}\nallowed_ip=fd00::2/128\nerrno=0\n\n`;
  expect(parseGet(answer).peers[0]!.allowedIps).toEqual([prefix]);
});
