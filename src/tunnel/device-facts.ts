import { networkInterfaces } from 'node:os';
import type { AllowedIps } from '../datapath/allowedips.ts';
import { DEVICE, type PacketMemory } from '../datapath/memory.ts';
import type { LocalFacts } from '../wire/acceptable-endpoint.ts';
import { parseAddress } from '../wire/address-text.ts';
import { ENDPOINT } from '../wire/endpoint.ts';
import type { Prefix } from '../wire/prefix.ts';

/** What the device knows of its own machine, from what its data path is told of it. */
export class DeviceFacts implements LocalFacts {
  readonly loopback = true;
  private readonly memory: PacketMemory;
  private readonly allowedIps: AllowedIps;
  private readonly localAddresses: () => readonly Prefix[];
  private readonly endpoint = new DataView(new ArrayBuffer(ENDPOINT.length));

  constructor(
    memory: PacketMemory,
    allowedIps: AllowedIps,
    localAddresses: () => readonly Prefix[],
  ) {
    this.memory = memory;
    this.allowedIps = allowedIps;
    this.localAddresses = localAddresses;
  }

  get port(): number {
    return Atomics.load(this.memory.i32, DEVICE.port >> 2);
  }

  get addresses(): readonly Prefix[] {
    return this.localAddresses();
  }

  isRoutedIntoTunnel(address: Uint8Array): boolean {
    if (Atomics.load(this.memory.i32, DEVICE.fwmark >> 2) !== 0) return false;
    this.endpoint.setUint16(ENDPOINT.family, address.length === 4 ? 4 : 6, true);
    new Uint8Array(this.endpoint.buffer).set(address, ENDPOINT.address);
    return this.allowedIps.routesEndpoint(this.endpoint, 0);
  }
}

/** The addresses of this process's network namespace, as the system names them now. */
export function machineAddresses(): readonly Prefix[] {
  const found: Prefix[] = [];
  for (const list of Object.values(networkInterfaces())) {
    for (const { address: text, cidr } of list ?? []) {
      const address = parseAddress(text);
      if (address !== undefined && cidr)
        found.push({ address, length: Number(cidr.split('/')[1]) });
    }
  }
  return found;
}
