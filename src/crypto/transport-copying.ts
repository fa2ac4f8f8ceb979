import type { CryptoProvider } from './provider.ts';
import { TAG_LENGTH, type TransportAead, type TransportAeadFactory } from './transport-aead.ts';

const NOTHING = new Uint8Array(0);

/**
 * A transport AEAD from a message-level provider: copies out of the memory and back. Slow, but
 * right wherever the provider is; what runs where WebAssembly SIMD does not.
 */
export const copyingAead =
  (crypto: CryptoProvider): TransportAeadFactory =>
  (memory) => {
    const u8 = new Uint8Array(memory.buffer);
    const copy = (offset: number, length: number): Uint8Array =>
      new Uint8Array(u8.subarray(offset, offset + length));
    const counter = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);
    const seal: TransportAead['seal'] = (key, low, high, destination, source, length) => {
      const plaintext = copy(source, length);
      const sealed = crypto.aeadSeal(copy(key, 32), counter(low, high), plaintext, NOTHING);
      u8.set(sealed, destination);
    };
    const open: TransportAead['open'] = (key, low, high, destination, source, length) => {
      const sealed = copy(source, length + TAG_LENGTH);
      const opened = crypto.aeadOpen(copy(key, 32), counter(low, high), sealed, NOTHING);
      if (opened !== undefined) u8.set(opened, destination);
      return opened !== undefined;
    };
    return {
      name: crypto.name,
      seal,
      sealNext: seal,
      sealEnd() {},
      open,
      openBefore: open,
      openEnd() {},
    };
  };
