import type { CryptoProvider } from '../../src/crypto/provider.ts';
import {
  type DataPlane,
  type NewKeypair,
  newActivity,
  type PeerActivity,
} from '../../src/device/data-plane.ts';
import { Device } from '../../src/device/device.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { INITIATION } from '../../src/wire/initiation.ts';
import { MESSAGE_TYPE, writeU32 } from '../../src/wire/message-type.ts';
import { fromHex, toHex } from '../lab/vectors.ts';
import { RecordedSecrets } from './recorded-secrets.ts';
import {
  type InitiationStep,
  type Name,
  other,
  type RecordedDevice,
  type Scenario,
} from './recording.ts';

/** Enough unread handshake messages to put a device under load. */
export const FLOOD = 200;
/** More than REKEY_TIMEOUT and its jitter, less than the life of a cookie. */
export const BETWEEN_HANDSHAKES = 6_000;

/** A keypair that control has handed over, its keys copied as hex before control wipes them. */
interface InstalledKeypair extends Omit<NewKeypair, 'sendKey' | 'receiveKey'> {
  readonly sendKey: string;
  readonly receiveKey: string;
}

/** A data path that only remembers what control told it. */
export class RememberingPlane implements DataPlane {
  readonly installed: InstalledKeypair[] = [];
  readonly sentOn: number[] = [];
  /** Every call that changes something. */
  calls = 0;
  private readonly endpoints = new Map<number, Endpoint>();

  addPeer(): void {
    this.calls++;
  }
  removePeer(_peer: number, done: () => void): void {
    this.calls++;
    done();
  }
  setEndpoint(peer: number, endpoint: Endpoint | undefined): void {
    this.calls++;
    if (endpoint === undefined) this.endpoints.delete(peer);
    else this.endpoints.set(peer, endpoint);
  }
  getEndpoint(peer: number): Endpoint | undefined {
    return this.endpoints.get(peer);
  }
  allow(): void {
    this.calls++;
  }
  disallow(): void {
    this.calls++;
  }
  installKeypair(keypair: NewKeypair, done: () => void): void {
    this.calls++;
    this.installed.push({
      ...keypair,
      sendKey: toHex(keypair.sendKey),
      receiveKey: toHex(keypair.receiveKey),
    });
    done();
  }
  sendOn(_peer: number, slot: number): void {
    this.calls++;
    this.sentOn.push(slot);
  }
  removeKeypair(_slot: number, done: () => void): void {
    this.calls++;
    done();
  }
  acceptHandshakeRequests(): void {}
  sendKeepalive(): void {
    this.calls++;
  }
  dropStaged(): void {
    this.calls++;
  }
  addTraffic(): void {
    this.calls++;
  }
  activity(_peer: number, into: PeerActivity): void {
    Object.assign(into, newActivity());
  }
  keypairLastReceivedAt(): number {
    return 0;
  }
}

/** The address and port in a recorded cookie source. */
export function endpointOf(device: RecordedDevice): Endpoint {
  const source = fromHex(device.cookie_source);
  const address = source.subarray(0, -2);
  return {
    family: address.length === 4 ? 4 : 6,
    address,
    port: new DataView(source.buffer, source.byteOffset).getUint16(address.length),
    scope: 0,
  };
}

/**
 * A device of ours in the place of one of the two recorded ones: it has that one's static key and
 * draws that one's randomness, and its wall clock shows what that one's showed.
 */
export class StandIn {
  readonly secrets = new RecordedSecrets();
  readonly plane = new RememberingPlane();
  readonly device: Device;
  readonly name: Name;
  /** Handshake messages sent and not yet looked at, as hex. */
  readonly sent: string[] = [];

  private readonly peer: RecordedDevice;
  private readonly peerEndpoint: Endpoint;
  private readonly crypto: CryptoProvider;
  private now = 1_000_000;

  constructor(crypto: CryptoProvider, scenario: Scenario, name: Name) {
    const own = scenario.devices[name];
    this.name = name;
    this.crypto = crypto;
    this.peer = scenario.devices[other(name)];
    this.peerEndpoint = endpointOf(this.peer);
    this.device = new Device({
      crypto,
      plane: this.plane,
      maxPeers: 4,
      maxKeypairs: 16,
      random: this.secrets.random,
      wallClock: this.secrets.wallClock,
      send: (message) => this.sent.push(toHex(message)),
    });
    this.device.configure(
      {
        privateKey: fromHex(own.static_private),
        peers: [
          { publicKey: fromHex(this.peer.static_public), endpoint: this.peerEndpoint },
          // Somebody else, so that finding the peer is not the only thing that can happen.
          { publicKey: crypto.x25519Public(new Uint8Array(32).fill(77)) },
        ],
      },
      this.now,
    );
    if (own.preshared_key !== null) this.setPresharedKey(own.preshared_key);
  }

  setPresharedKey(presharedKey: string): void {
    const publicKey = fromHex(this.peer.static_public);
    this.device.configure(
      { peers: [{ publicKey, presharedKey: fromHex(presharedKey) }] },
      this.now,
    );
  }

  /** Starts a handshake with the secrets of a recorded one. */
  initiate(step: InitiationStep): void {
    this.now += BETWEEN_HANDSHAKES;
    this.secrets.use(step);
    this.device.poll(this.now); // retries by itself if an initiation went unanswered
    if (this.sent.length === 0) this.device.handshakeWanted(0, this.now);
  }

  /** A handshake message from the peer, `elapsed` ms after whatever came before. */
  receive(message: Uint8Array, elapsed = 50): void {
    this.now += elapsed;
    this.device.receive(message.slice(), this.peerEndpoint);
    this.pollAll();
  }

  /** Floods the device with messages that nobody needs to answer; it stays under load for 1 s. */
  putUnderLoad(): void {
    const junk = new Uint8Array(INITIATION.length);
    writeU32(junk, INITIATION.type, MESSAGE_TYPE.initiation);
    for (let i = 0; i < FLOOD; i++) this.device.receive(junk.slice(), this.peerEndpoint);
    this.pollAll();
  }

  /** The first packet on the newest keypair has come in. */
  confirm(): void {
    this.device.keypairConfirmed(this.plane.installed.at(-1)!.slot, this.now);
  }

  /** Mac1 of a message to this device, as anybody can compute it. */
  repairMac1(message: Uint8Array): void {
    const key = this.crypto.hash(new TextEncoder().encode('mac1----'), this.device.publicKey!);
    const mac1At = message.length - 32;
    message.set(this.crypto.mac(key, message.subarray(0, mac1At)), mac1At);
  }

  /** All handshake messages sent since the last call. */
  takeSent(): string[] {
    return this.sent.splice(0);
  }

  /** How often messages were rejected, by reason. */
  rejects(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.device.rejects).filter(([, count]) => count > 0));
  }

  private pollAll(): void {
    // Only handshake messages: time stands still, so no timer of importance is due.
    do this.device.poll(this.now);
    while (this.device.nextPoll(this.now) <= this.now);
  }
}
