import { acceptableEndpoint, arrivedFrom, type LocalFacts } from '../wire/acceptable-endpoint.ts';
import { decodeEndpoint, ENDPOINT } from '../wire/endpoint.ts';
import type { AllowedIps } from './allowedips.ts';
import { DEVICE, type PacketMemory } from './memory.ts';

/** Where a data thread sends to and lets peers roam to: `wire/acceptable-endpoint`, cheaply. */
export class EndpointRules {
  private readonly memory: PacketMemory;
  private readonly allowedIps: AllowedIps;

  constructor(memory: PacketMemory, allowedIps: AllowedIps) {
    this.memory = memory;
    this.allowedIps = allowedIps;
  }

  /**
   * Whether what is sent to the endpoint in ENDPOINT form at byte `at` would come back through the
   * TUN device to be sealed again. Sent with a firewall mark, it is routed by other rules.
   */
  isRoutedIntoTunnel(at: number): boolean {
    if (Atomics.load(this.memory.i32, DEVICE.fwmark >> 2) !== 0) return false;
    return this.allowedIps.routesEndpoint(this.memory.view, at);
  }

  /** Whether what comes from the endpoint at `at` was sent through the tunnel itself. */
  arrivedThroughTunnel(at: number): boolean {
    const { i32 } = this.memory;
    const tun = Atomics.load(i32, DEVICE.tunInterface >> 2);
    return tun !== 0 && i32[(at + ENDPOINT.sourceInterface) >> 2] === tun;
  }

  /** Whether a peer may roam to the endpoint at `at`. Asked only if it is another one than before. */
  mayRoamTo(at: number): boolean {
    if (this.isRoutedIntoTunnel(at)) return false;
    const endpoint = decodeEndpoint(this.memory.u8, at);
    if (endpoint === undefined) return false;
    const local: LocalFacts = {
      port: Atomics.load(this.memory.i32, DEVICE.port >> 2),
      addresses: [],
      loopback: true,
      isRoutedIntoTunnel: () => false, // asked before, without an object
    };
    return acceptableEndpoint(endpoint, arrivedFrom(endpoint, local));
  }
}
