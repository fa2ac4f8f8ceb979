import { expect, test } from 'vitest';
import { isNodeProviderAvailable } from '../../src/crypto/node.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

test('node:crypto is complete in the pinned Node, and is the default', () => {
  expect(isNodeProviderAvailable()).toBe(true);
  expect(defaultProvider({}).name).toBe('node');
  expect(defaultProvider({ MESH_CRYPTO: '' }).name).toBe('node');
  expect(defaultProvider({ MESH_CRYPTO: 'node' }).name).toBe('node');
});

test('MESH_CRYPTO=noble forces the pure path', () => {
  expect(defaultProvider({ MESH_CRYPTO: 'noble' }).name).toBe('noble');
});

test('an unknown name is refused with what was expected', () => {
  expect(() => defaultProvider({ MESH_CRYPTO: 'openssl' })).toThrow('expected "noble" or "node"');
});
