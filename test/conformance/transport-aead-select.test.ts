import { describe, expect, test } from 'vitest';
import type { TransportAead, TransportAeadFactory } from '../../src/crypto/transport-aead.ts';
import type { TransportAeadName } from '../../src/crypto/transport-choice.ts';
import {
  selectTransport,
  selectTransportAead,
  TRANSPORT_AEAD_FACTORIES,
} from '../../src/crypto/transport-select.ts';
import { transportAeadFault } from '../../src/crypto/transport-self-test.ts';

const SCRATCH = 4096;
const newMemory = () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });

/** The implementation with one of its functions replaced. */
function spoilt(
  spoil: (good: TransportAead, bytes: Uint8Array) => Partial<TransportAead>,
): TransportAeadFactory {
  return (memory, scratch) => {
    const good = TRANSPORT_AEAD_FACTORIES.node(memory, scratch);
    return { ...good, ...spoil(good, new Uint8Array(memory.buffer)) };
  };
}

const throws: TransportAeadFactory = () => {
  throw new Error('no SIMD here');
};
const FASTEST = process.arch === 'x64' ? 'wasm-simd-revec' : 'wasm-simd';
const nothingWrong = { environment: {}, log: (line: string) => expect.unreachable(line) };

describe('the transport AEAD', () => {
  test('is the revectorised kernel where it works, named as such', () => {
    const aead = selectTransportAead(newMemory(), SCRATCH, nothingWrong);
    expect(aead.name).toBe(FASTEST);
    expect(selectTransport(nothingWrong).memoryKernel?.(newMemory()).sum(0, 10, 3)).toBe(3);
  });

  test.each([
    [{ MESH_CRYPTO: 'noble' }, 'noble'],
    [{ MESH_CRYPTO: 'node' }, FASTEST],
    [{ MESH_AEAD: 'wasm-simd' }, 'wasm-simd'],
    [{ MESH_AEAD: 'node', MESH_CRYPTO: '' }, 'node'],
    [{ MESH_AEAD: 'node', MESH_CRYPTO: 'noble' }, 'noble'],
  ])('follows the environment: %o', (environment, name) => {
    const transport = selectTransport({ ...nothingWrong, environment });
    expect(transport.name).toBe(name);
    expect(transport.aead(newMemory(), SCRATCH).name).toBe(name);
    expect(transport.memoryKernel === undefined).toBe(!name.startsWith('wasm'));
  });

  test('follows a preference, but the environment goes first', () => {
    const prefer = 'wasm-simd' as const;
    expect(selectTransport({ ...nothingWrong, prefer }).name).toBe('wasm-simd');
    const environment = { MESH_AEAD: 'node' };
    expect(selectTransport({ ...nothingWrong, prefer, environment }).name).toBe('node');
  });

  test('is the plain kernel where the processor is no x64', () => {
    const transport = selectTransport({ ...nothingWrong, architecture: 'arm64' });
    expect(transport.name).toBe('wasm-simd');
  });

  test('an unknown name in the environment is an error that lists the known ones', () => {
    const environment = { MESH_AEAD: 'fast' };
    expect(() => selectTransport({ ...nothingWrong, environment })).toThrow(
      /"fast".*wasm-simd-revec, wasm-simd, node, noble/,
    );
  });

  test('gives way, loudly, to the next that passes', () => {
    const lines: string[] = [];
    const factories: Record<TransportAeadName, TransportAeadFactory> = {
      ...TRANSPORT_AEAD_FACTORIES,
      'wasm-simd-revec': spoilt(() => ({ open: () => true })),
      'wasm-simd': throws,
    };
    const log = (line: string) => lines.push(line);
    const { name } = selectTransport({ environment: {}, architecture: 'x64', log, factories });
    expect(name).toBe('node');
    expect(lines).toEqual([
      'transport AEAD wasm-simd-revec is not used: accepts 0 bytes that are forged',
      'transport AEAD wasm-simd is not used: no SIMD here',
    ]);
  });

  test('is an error if none passes', () => {
    const factories = {
      'wasm-simd-revec': throws,
      'wasm-simd': throws,
      node: throws,
      noble: throws,
    };
    expect(() => selectTransport({ environment: {}, log: () => {}, factories })).toThrow(
      'no transport AEAD passes its self-test',
    );
  });
});

describe('the self-test', () => {
  test.each(['wasm-simd-revec', 'wasm-simd', 'node', 'noble'] as const)('passes %s', (name) => {
    expect(transportAeadFault(TRANSPORT_AEAD_FACTORIES[name])).toBeUndefined();
  });

  test.each<[string, TransportAeadFactory]>([
    [
      'a wrong tag',
      spoilt((good, bytes) => ({
        seal(key, low, high, destination, source, length) {
          good.seal(key, low, high, destination, source, length);
          if (length === 1420) bytes[destination + length + 15]! ^= 1;
        },
      })),
    ],
    [
      'half a counter',
      spoilt((good) => ({
        seal: (key, low, _high, destination, source, length) =>
          good.seal(key, low, 0, destination, source, length),
      })),
    ],
    [
      'a wrong byte opened',
      spoilt((good, bytes) => ({
        open(key, low, high, destination, source, length) {
          const isRight = good.open(key, low, high, destination, source, length);
          if (isRight && length > 1000) bytes[destination + 1000]! ^= 1;
          return isRight;
        },
      })),
    ],
    [
      'every tag accepted',
      spoilt((good) => ({
        open(key, low, high, destination, source, length) {
          good.open(key, low, high, destination, source, length);
          return true;
        },
      })),
    ],
    ['every tag refused', spoilt(() => ({ open: () => false }))],
  ])('catches %s', (_, factory) => {
    expect(transportAeadFault(factory)).toMatch(/bytes/);
  });
});
