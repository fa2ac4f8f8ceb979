import type { Endpoint } from '../../wire/endpoint.ts';
import type { DatagramCarrier, PortChange, PreparedChange } from '../ports.ts';
import { segmentsOf } from '../segments.ts';
import { PortableUdp } from './udp.ts';

/** Throws for any mark: a userspace tunnel has none. */
export function refuseFwmark(fwmark: number | undefined): void {
  if (fwmark === undefined || fwmark === 0) return;
  const message = 'fwmark: only a tunnel with a network interface (mode linux) can have one';
  throw Object.assign(new Error(message), { code: 'ENOTSUP' });
}

/** A datagram port on node:dgram. It has no socket until the first change asks for one. */
export class PortableUdpPort implements DatagramCarrier {
  readonly fwmark = 0;
  private udp: PortableUdp | undefined;
  private received: Parameters<DatagramCarrier['connect']>[0] = () => {};
  private earlierFailures = 0;

  get port(): number {
    return this.udp?.port ?? 0;
  }

  get sendFailures(): number {
    return this.earlierFailures + (this.udp?.sendFailures ?? 0);
  }

  connect(received: Parameters<DatagramCarrier['connect']>[0]): void {
    this.received = received;
  }

  send(batch: Uint8Array, segmentSize: number, endpoint: Endpoint): void {
    for (const datagram of segmentsOf(batch, segmentSize)) {
      if (this.udp === undefined) this.earlierFailures++;
      else this.udp.send(datagram, endpoint);
    }
  }

  prepare({ listenPort, fwmark }: PortChange): Promise<PreparedChange> | undefined {
    refuseFwmark(fwmark);
    if (listenPort === undefined || (listenPort !== 0 && listenPort === this.udp?.port)) {
      return undefined;
    }
    return this.open(listenPort);
  }

  private async open(port: number): Promise<PreparedChange> {
    let inUse = false;
    const next = await PortableUdp.open(port, (datagram, source) => {
      if (inUse) this.received(datagram, datagram.length, source);
    });
    return {
      commit: async () => {
        const before = this.udp;
        inUse = true;
        this.udp = next;
        this.earlierFailures += before?.sendFailures ?? 0;
        await before?.close();
      },
      cancel: () => next.close(),
    };
  }

  async close(): Promise<void> {
    await this.udp?.close();
  }
}
