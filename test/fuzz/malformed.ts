import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { KEYPAIR } from '../../src/datapath/memory.ts';
import { CookieChecker, CookieGenerator, cookieSource } from '../../src/noise/cookie.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { INITIATION } from '../../src/wire/initiation.ts';
import { MESSAGE_TYPE, readU32, writeU32 } from '../../src/wire/message-type.ts';
import { RESPONSE } from '../../src/wire/response.ts';
import { TRANSPORT_DATA } from '../../src/wire/transport-data.ts';
import { memoryOf, sendingSlot, Tap } from '../lab/inspect.ts';
import { seededBytes, seededRandom } from '../lab/random.ts';
import { connect, innerPacket, type SimulatedNode, Simulation } from '../lab/simulation.ts';

const NOTHING = new Uint8Array(0);
const PSK = new Uint8Array(32).fill(0x77);
const LENGTHS = [
  0, 1, 3, 4, 15, 16, 31, 32, 33, 47, 48, 63, 64, 65, 91, 92, 93, 147, 148, 149, 1452,
];
/** Datagrams between two checks that the tunnel still works; sessions are made anew then. */
const ROUND = 20_000;
const STRANGERS = 50;

export interface FuzzReport {
  readonly datagrams: number;
  /** How many datagrams were dropped for each reason. */
  readonly drops: Readonly<Record<string, number>>;
  /** Greatest sizes of everything in the device that outsiders could try to fill. */
  readonly sizes: Readonly<Record<string, number>>;
  /** What is wrong: empty if all is well. */
  readonly faults: readonly string[];
}

/**
 * Throws malformed datagrams at a device that has peers: random ones, truncated and lengthened
 * ones, mutated, spliced and replayed ones of real conversations, and well-made ones of strangers.
 * Each must be dropped and counted once, nothing may grow, and real peers must still get through.
 */
export class Fuzzer {
  private readonly random: () => number;
  private readonly bytes: (length: number) => Uint8Array;
  private readonly simulation: Simulation;
  private readonly target: SimulatedNode;
  /** Talks to the target. */
  private readonly friend: SimulatedNode;
  /** The target tries to reach it: an initiation of the target is always waiting for its answer. */
  private readonly silent: SimulatedNode;
  private readonly stranger: SimulatedNode;
  private readonly repairMac1: CookieGenerator;

  /** Real datagrams that the target has taken already. */
  private taken: Uint8Array[] = [];
  /** A real answer to the initiation that waits; it must not be delivered as it is. */
  private answer = new Uint8Array(RESPONSE.length);
  private fromStrangers: Uint8Array[] = [];

  private datagrams = 0;
  private readonly drops: Record<string, number> = {};
  private readonly sizes: Record<string, number> = {};
  private readonly faults: string[] = [];

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.bytes = seededBytes(seed + 1);
    this.simulation = new Simulation(seed + 2);
    this.target = this.simulation.addNode();
    this.friend = this.simulation.addNode();
    this.silent = this.simulation.addNode();
    this.stranger = this.simulation.addNode();
    connect(this.target, this.friend, { presharedKey: PSK });
    connect(this.target, this.silent, { presharedKey: PSK });
    this.target.configure({
      peers: [{ publicKey: this.silent.publicKey, persistentKeepalive: 1 }],
    });
    this.stranger.configure({ peers: [this.target.asPeer()] });
    this.repairMac1 = new CookieGenerator(nobleProvider, this.target.publicKey);
  }

  get report(): FuzzReport {
    const { datagrams, drops, sizes, faults } = this;
    return { datagrams, drops, sizes, faults };
  }

  /** `progress` is called after every round. */
  run(count: number, progress: (report: FuzzReport) => void = () => {}): FuzzReport {
    const end = this.datagrams + count;
    while (this.datagrams < end && this.faults.length === 0) {
      this.converse();
      this.round(Math.min(ROUND, end - this.datagrams));
      progress(this.report);
    }
    this.converse();
    return this.report;
  }

  /** Real conversations: shows that the tunnel works, and leaves datagrams to maltreat. */
  private converse(): void {
    const { simulation, target, friend, silent, stranger } = this;
    // Whatever load there was is over; the last sessions end, so that new ones are made.
    simulation.runFor(10_000);
    friend.restart();
    friend.configure({ peers: [target.asPeer({ presharedKey: PSK })] });
    target.core.expireAllSessions(target.clock);
    silent.restart();
    silent.configure({ peers: [target.asPeer({ presharedKey: PSK })] });

    const tap = new Tap(simulation);
    let delivered = 0;
    friend.onPacket = () => delivered++;
    target.onPacket = () => delivered++;
    simulation.filter = (_, from) => from !== silent; // its answers are lost
    const packet = (from: SimulatedNode, to: SimulatedNode) =>
      from.sendPacket(innerPacket(from.prefix.address, to.prefix.address, this.bytes(100)));
    packet(friend, target);
    simulation.runFor(100);
    packet(target, friend);
    packet(friend, target);
    simulation.runFor(6000);
    if (delivered !== 3) this.faults.push(`${3 - delivered} of 3 real packets did not get through`);
    this.taken = tap.seen
      .filter((seen) => seen.from === friend)
      .map((seen) => new Uint8Array(seen.datagram));
    this.answer = new Uint8Array(tap.of('response', silent).at(-1)?.datagram ?? this.answer);

    this.fromStrangers = [];
    simulation.filter = () => false;
    tap.clear();
    for (let i = 0; i < STRANGERS; i++) {
      stranger.restart();
      stranger.configure({
        privateKey: this.bytes(32),
        peers: [target.asPeer({ endpoint: target.endpoint })],
      });
      packet(stranger, target);
    }
    new Tap(simulation); // stops writing to the one above
    this.fromStrangers = tap
      .of('initiation', stranger)
      .map((seen) => new Uint8Array(seen.datagram));
  }

  private round(count: number): void {
    const { target, simulation, random } = this;
    const before = { ...target.drops };
    // Calm rounds, in which every message is looked at closely, and floods.
    const pause = random() < 0.5 ? 3 : 0.01;
    let pending = 0;
    for (let i = 0; i < count; i++) {
      target.receive(this.datagram(), this.source());
      pending += pause;
      if (pending >= 1) {
        simulation.runFor(pending);
        pending = 0;
      }
    }
    simulation.runFor(1);
    this.datagrams += count;
    let counted = 0;
    for (const [reason, total] of Object.entries(target.drops)) {
      const added = total - (before[reason] ?? 0);
      // A packet whose sender did not roam is counted for what became of it, too.
      if (reason !== 'roamingRefused') counted += added;
      if (added > 0) this.drops[reason] = (this.drops[reason] ?? 0) + added;
    }
    if (counted !== count) this.faults.push(`${count} datagrams, ${counted} counted`);
    this.measure();
  }

  /** Whatever an outsider could make grow. */
  private measure(): void {
    const device = this.target.core.device as unknown as {
      sessions: { indexes: { size: number } };
      queue: { length: number };
      handshakes: { unknownInitiators: Map<string, number>; rateLimiter: { size: number } };
    };
    const sizes = {
      receiverIndices: device.sessions.indexes.size,
      queuedHandshakes: device.queue.length,
      unknownInitiators: device.handshakes.unknownInitiators.size,
      rateLimitedSources: device.handshakes.rateLimiter.size,
    };
    for (const [name, size] of Object.entries(sizes)) {
      this.sizes[name] = Math.max(this.sizes[name] ?? 0, size);
    }
    if (sizes.receiverIndices > 10) this.faults.push(`${sizes.receiverIndices} receiver indices`);
  }

  private datagram(): Uint8Array {
    const choice = this.random();
    if (choice < 0.15) return this.randomBytes();
    if (choice < 0.3) return this.randomFields();
    if (choice < 0.4) return this.cut(this.pick(this.taken));
    if (choice < 0.8) return this.mutated(this.pick(this.taken));
    if (choice < 0.88) return this.spliced(this.pick(this.taken), this.pick(this.taken));
    if (choice < 0.93) return this.pick(this.taken);
    if (choice < 0.95) return this.withMac1(this.mutated(this.pick(this.taken)));
    if (choice < 0.97) return this.wrongAnswer();
    if (choice < 0.98) return this.wrongCookie();
    if (choice < 0.99) return this.pick(this.fromStrangers);
    return this.malformedInside();
  }

  private randomBytes(): Uint8Array {
    return this.bytes(Math.floor(this.random() ** 2 * 200));
  }

  /** A type and often the right length, the rest random. */
  private randomFields(): Uint8Array {
    const type = Math.floor(this.random() * 6);
    const known = [0, INITIATION.length, RESPONSE.length, 64, 32 + this.integer(8) * 16][type];
    const length = this.random() < 0.7 && known !== undefined ? known : this.pick(LENGTHS);
    const message = this.bytes(length);
    if (length >= 4) writeU32(message, 0, type);
    // A receiver index that is in use.
    if (length >= 16 && this.random() < 0.5) {
      const live = this.pick(this.taken);
      if (type === MESSAGE_TYPE.response) message.set(this.answer.subarray(8, 12), 8);
      if (type === MESSAGE_TYPE.cookieReply) message.set(this.answer.subarray(8, 12), 4);
      if (type === MESSAGE_TYPE.transportData) message.set(live.subarray(4, 8), 4);
    }
    return message;
  }

  private cut(message: Uint8Array): Uint8Array {
    if (this.random() < 0.7) return message.slice(0, this.integer(message.length));
    const longer = this.bytes(message.length + 1 + this.integer(64));
    longer.set(message);
    return longer;
  }

  private mutated(message: Uint8Array): Uint8Array {
    const copy = message.slice();
    for (let changes = 1 + this.integer(4); changes > 0; changes--) {
      const at = this.integer(copy.length);
      copy[at]! ^= 1 + this.integer(255);
    }
    // Two changes may have undone each other.
    if (sameBytes(copy, message)) copy[copy.length - 1]! ^= 1;
    return copy;
  }

  private spliced(head: Uint8Array, tail: Uint8Array): Uint8Array {
    const at = this.integer(Math.min(head.length, tail.length));
    const copy = tail.slice();
    copy.set(head.subarray(0, at));
    return copy;
  }

  private withMac1(message: Uint8Array): Uint8Array {
    if (message.length >= RESPONSE.length) this.repairMac1.addMacs(message, 0);
    return message;
  }

  /** The true answer but for something that is authenticated. */
  private wrongAnswer(): Uint8Array {
    const copy = this.answer.slice();
    const at = RESPONSE.receiver + this.integer(RESPONSE.mac1 - RESPONSE.receiver);
    copy[at]! ^= 1 + this.integer(255);
    return this.random() < 0.5 ? this.withMac1(copy) : copy;
  }

  /** A cookie reply to the initiation that waits, from somebody who has not seen it. */
  private wrongCookie(): Uint8Array {
    const checker = new CookieChecker(nobleProvider, this.silent.publicKey, this.bytes);
    const unseen = this.bytes(INITIATION.length);
    const index = readU32(this.answer, RESPONSE.receiver);
    const source = cookieSource(Uint8Array.of(1, 2, 3, 4), 5);
    return checker.createReply(unseen, index, source, this.target.clock);
  }

  /** Properly sealed by the friend around something that is no packet of its own. */
  private malformedInside(): Uint8Array {
    const { core, prefix } = this.friend;
    const choice = this.random();
    let inner = this.bytes(1 + this.integer(100));
    if (choice < 0.5) {
      const source = choice < 0.25 ? this.bytes(4) : this.stranger.prefix.address;
      inner = innerPacket(source, this.target.prefix.address, inner);
    } else if (choice < 0.75) {
      inner = innerPacket(prefix.address, this.target.prefix.address, inner);
      // Says that it is longer than it is, shorter than its header, or of no known version.
      const wrong = this.pick([
        [2, 0x40],
        [3, this.integer(20)],
        [0, 0x50 + this.integer(16)],
        [0, 0x65],
      ]) as [number, number];
      if (wrong[0] === 3) inner[2] = 0;
      inner[wrong[0]] = wrong[1];
    } else if (inner[0]! >> 4 === 4 || inner[0]! >> 4 === 6) inner[0] = 0;
    const memory = memoryOf(core);
    const slot = memory.keypair(sendingSlot(core));
    const key = new Uint8Array(memory.u8.subarray(slot + KEYPAIR.sendKey, slot + 32));
    const counter = memory.u32[(slot + KEYPAIR.sendCounterLow) >> 2]!++;
    const datagram = new Uint8Array(inner.length + TRANSPORT_DATA.overhead);
    writeU32(datagram, TRANSPORT_DATA.type, MESSAGE_TYPE.transportData);
    writeU32(datagram, TRANSPORT_DATA.receiver, memory.u32[(slot + KEYPAIR.remoteIndex) >> 2]!);
    writeU32(datagram, TRANSPORT_DATA.counterLow, counter);
    const sealed = nodeProvider.aeadSeal(key, BigInt(counter), inner, NOTHING);
    datagram.set(sealed, TRANSPORT_DATA.encryptedPacket);
    return datagram;
  }

  private source(): Endpoint {
    const port = this.integer(65_536);
    return this.random() < 0.5
      ? { family: 4, address: this.bytes(4), port, scope: 0 }
      : { family: 6, address: this.bytes(16), port, scope: 0 };
  }

  private integer(below: number): number {
    return Math.floor(this.random() * below);
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.integer(from.length)]!;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
