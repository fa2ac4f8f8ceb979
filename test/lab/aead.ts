import { nodeProvider } from '../../src/crypto/node.ts';
import type { TransportAead, TransportAeadFactory } from '../../src/crypto/transport-aead.ts';
import type { MemoryKernel } from '../../src/datapath/checksum.ts';

/** Nothing is put off until the next packet, nor done for it. */
function packetByPacket(
  name: string,
  seal: TransportAead['seal'],
  open: TransportAead['open'],
): TransportAead {
  const openBefore: TransportAead['openBefore'] = (key, low, high, destination, source, length) =>
    open(key, low, high, destination, source, length);
  return { name, seal, sealNext: seal, sealEnd() {}, open, openBefore, openEnd() {} };
}

/** Copies instead of encrypting, to see what the rest costs. */
export function copyingAead(kernel: Pick<MemoryKernel, 'copy'>): TransportAead {
  const copy: TransportAead['seal'] = (_key, _low, _high, destination, source, length) => {
    if (destination !== source) kernel.copy(destination, source, length);
  };
  const open: TransportAead['open'] = (key, low, high, destination, source, length) => {
    copy(key, low, high, destination, source, length);
    return true;
  };
  return packetByPacket('no cipher', copy, open);
}

const NOTHING = new Uint8Array(0);

/** The obvious implementation: copies out, seals with the reference provider, copies back. */
export const simulationAead: TransportAeadFactory = (memory) => {
  const u8 = new Uint8Array(memory.buffer);
  const copy = (offset: number, length: number): Uint8Array =>
    new Uint8Array(u8.subarray(offset, offset + length));
  const counter = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);
  const seal: TransportAead['seal'] = (key, low, high, destination, source, length) => {
    const plaintext = copy(source, length);
    u8.set(
      nodeProvider.aeadSeal(copy(key, 32), counter(low, high), plaintext, NOTHING),
      destination,
    );
  };
  const open: TransportAead['open'] = (key, low, high, destination, source, length) => {
    const ciphertext = copy(source, length + 16);
    const opened = nodeProvider.aeadOpen(copy(key, 32), counter(low, high), ciphertext, NOTHING);
    if (opened !== undefined) u8.set(opened, destination);
    return opened !== undefined;
  };
  return packetByPacket('obvious', seal, open);
};
