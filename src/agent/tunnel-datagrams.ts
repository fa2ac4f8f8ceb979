import { createSocket } from 'node:dgram';
import type { UserspaceTunnel } from '../tunnel/create-tunnel.ts';
import { formatAddress, parseAddress } from '../wire/address-text.ts';

/** A UDP port on a node's tunnel address. */
export interface TunnelDatagrams {
  /** `to`: a tunnel address, as text; the same port there. `failed`: it could not be sent. */
  send(message: Uint8Array, to: string, failed: () => void): void;
  /** Rejects when nothing can come in or go out any more. */
  readonly broken: Promise<never>;
  close(): void;
}

/** Called with what came and the address that it came from, as text. The array is valid during the call. */
export type HeardDatagram = (message: Uint8Array, from: string) => void;

/** Opens a port; rejects if it cannot be had. */
export type OpenDatagrams = (port: number, heard: HeardDatagram) => Promise<TunnelDatagrams>;

/** By a socket of the system, where the tunnel address is one of this machine's. */
export function systemDatagrams(address: string): OpenDatagrams {
  return async (port, heard) => {
    const socket = createSocket('udp4');
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => {});
    socket.on('error', broken.reject);
    socket.on('message', (message, { address: from }) => heard(message, from));
    const bound = Promise.withResolvers<void>();
    socket.bind({ address, port, exclusive: true }, bound.resolve);
    try {
      await Promise.race([bound.promise, broken.promise]);
    } catch (error) {
      socket.close();
      throw error;
    }
    return {
      broken: broken.promise,
      send: (message, to, failed) => socket.send(message, port, to, (error) => error && failed()),
      close: () => socket.close(),
    };
  };
}

/** By a tunnel inside this process. */
export function userspaceDatagrams(tunnel: Pick<UserspaceTunnel, 'bindUdp'>): OpenDatagrams {
  return async (port, heard) => {
    const bound = tunnel.bindUdp(port, ({ payload, source }) =>
      heard(payload, formatAddress(source)),
    );
    return {
      broken: new Promise(() => {}), // it lives as long as the tunnel
      send: (message, to, failed) => {
        const destination = parseAddress(to);
        if (destination === undefined) failed();
        else bound.send(message, { destination, port });
      },
      close: () => bound.close(),
    };
  };
}
