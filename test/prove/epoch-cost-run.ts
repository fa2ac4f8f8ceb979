import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ownIdentity } from '../../src/agent/accepted-config.ts';
import { Counters } from '../../src/agent/counters.ts';
import { EpochFollower } from '../../src/agent/epoch-follower.ts';
import { Membership } from '../../src/agent/membership.ts';
import { pinCheck } from '../../src/agent/pins.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { openHeader } from '../../src/contract/epoch/header.ts';
import type { KeysAnswer } from '../../src/contract/epoch/keys-answer.ts';
import type { LeaseDocument } from '../../src/contract/epoch/lease.ts';
import { steadyClock } from '../../src/controller/clock.ts';
import { keysAnswer } from '../../src/controller/operations/read-keys.ts';
import { createServices, type Services } from '../../src/controller/services.ts';
import { completeSettings } from '../../src/controller/settings.ts';
import { SqliteStore } from '../../src/controller/store/sqlite-store.ts';
import { keysSubscriber } from '../../src/controller/subscribers/keys.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { parseAddress } from '../../src/wire/address-text.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { memoryState } from '../lab/memory-state.ts';
import { innerPacket, type SimulatedNode, Simulation } from '../lab/simulation.ts';
import { median } from '../lab/statistics.ts';
import { fillStore, type PlayedNode, playedName } from './fill-store.ts';

const crypto = defaultProvider();
const EPOCHS = 5;
/** Before those that count: what runs for the first times is not compiled yet, and pairs fall quiet. */
const WARM_UP_EPOCHS = 5;
const EPOCH_MS = 60_000;
/** Members that the one which is measured talks to. */
const TALKING = 50;

export interface EpochCost {
  readonly members: number;
  readonly changes: number;
  /** Processor time of the controller from the commit until the last stream was written, ms. */
  readonly controllerCpuMs: number;
  /** Written to each member's stream in an epoch. */
  readonly bytesPerMember: number;
  /** Processor time of one member from the push until its device has peers and keys, ms. */
  readonly memberCpuMs: number;
}

/**
 * A controller with its database on a disk, and a stream for each member that counts what is written;
 * the network is not in it. Medians of five epochs, after five others.
 */
export async function epochCost(members: number, changes: number): Promise<EpochCost> {
  const directory = mkdtempSync(join(tmpdir(), 'meshnet-epoch-cost-'));
  const store = new SqliteStore(join(directory, 'mesh.db'));
  let committed: NodeJS.CpuUsage | undefined;
  const services = createServices({
    keepPolicy: async () => {},
    store,
    settings: completeSettings({
      observeOnly: true,
      tunnelPrefix: '10.0.0.0/16',
      epochS: 3600,
    }),
    clock: steadyClock(0),
    crypto,
    random: (length) => new Uint8Array(randomBytes(length)),
    signingSeed: new Uint8Array(randomBytes(32)),
    overload: { take: () => 0 },
    monotonic: () => performance.now(),
    onEvent: ({ event }) => {
      if (event === 'epoch_committed') committed = process.cpuUsage();
    },
  });
  try {
    await store.claim(services.meshId);
    const nodes = await enrolled(services, members);
    let written = 0;
    for (const { nodeId } of nodes) {
      services.presence.add(nodeId, 2);
      const write = (text: string) => {
        written += text.length;
      };
      services.streams.add(nodeId, { backlog: 0, write, end: () => {} });
    }
    for (const [i, { nodeId }] of nodes.slice(1, 1 + TALKING).entries()) {
      await store.setPlaces(nodeId, { endpoint: `198.51.100.${i + 1}:51820` }, 0);
    }
    await services.governor.start();
    await services.governor.rotate();
    const push = keysSubscriber(services);
    const member = new Member(services, nodes[0]!, members);
    const talking = nodes.slice(1, 1 + TALKING).map(({ nodeId }) => nodeId);
    await member.take([]);
    const [cpu, bytes, memberCpu]: number[][] = [[], [], []];
    for (let epoch = 0; epoch < WARM_UP_EPOCHS + EPOCHS; epoch++) {
      for (let i = 0; i < changes; i++) {
        const { nodeId } = nodes[(epoch * changes + i + 1) % members]!;
        await store.setPlaces(nodeId, { endpoint: `192.0.2.${i + 1}:${20_000 + epoch}` }, 0);
      }
      written = 0;
      await services.governor.rotate();
      await push.handle({ event: 'epoch_committed' } as never); // what the controller queues
      const used = process.cpuUsage(committed);
      const memberMs = await member.take(talking);
      member.live(EPOCH_MS);
      if (epoch >= WARM_UP_EPOCHS) {
        cpu!.push((used.user + used.system) / 1000);
        bytes!.push(written / members);
        memberCpu!.push(memberMs);
      }
      await delay(50);
    }
    return {
      members,
      changes,
      controllerCpuMs: Math.round(median(cpu!)),
      bytesPerMember: Math.round(median(bytes!)),
      memberCpuMs: Math.round(median(memberCpu!)),
    };
  } finally {
    services.streams.close();
    await services.governor.close();
    await store.close();
    rmSync(directory, { recursive: true });
  }
}

async function enrolled(
  { store, meshId, directory }: Services,
  count: number,
): Promise<PlayedNode[]> {
  const nodes = Array.from({ length: count }, (_, i): PlayedNode => {
    const key = () => new Uint8Array(randomBytes(32));
    const keys = { wireguard: key(), signing: key(), sealing: key() };
    return { nodeId: playedName(i), keys };
  });
  await fillStore(store, meshId, nodes);
  await directory.refresh();
  return nodes;
}

/** One member's part: from what is pushed to a device with its peers and their keys. */
class Member {
  private readonly services: Services;
  private readonly nodeId: string;
  private readonly follower: EpochFollower;
  private readonly membership: Membership;
  private readonly state = memoryState();
  private readonly clock = new SimClock();
  private readonly device: SimulatedNode;
  private readonly simulation: Simulation;
  private readonly controllerKey: Uint8Array;
  private version: number | undefined;

  constructor(services: Services, { nodeId, keys }: PlayedNode, members: number) {
    this.services = services;
    this.nodeId = nodeId;
    this.controllerKey = crypto.ed25519Public(services.signingSeed);
    const enrolment = {
      mesh_id: toBase64(services.meshId),
      node_id: nodeId,
      controller_key: toBase64(this.controllerKey),
      tunnel_prefix: services.settings.tunnelPrefix,
      epoch_s: services.settings.epochS,
    };
    this.follower = new EpochFollower({
      crypto,
      identity: ownIdentity(crypto, enrolment, keys),
      fetchKeys: async () => this.answer(),
      fetchPiece: async (name) => services.views.piece(name) ?? services.rosters.piece(name),
      readKeys: (value) => value as KeysAnswer,
    });
    const simulation = new Simulation(1);
    this.device = simulation.addNode({
      requirePsk: true,
      maxPeers: members,
      rotation: { epoch: EPOCH_MS, grace: 20_000, quietPairsWait: true },
    });
    this.simulation = simulation;
    this.live(1000);
    this.device.configure({ privateKey: keys.wireguard });
    this.membership = new Membership({
      tunnel: {
        configure: async (change) => this.device.configure(change),
        expireKeypairs: async () => {},
      },
      state: this.state,
      clock: this.clock,
      epochS: 60,
      counters: new Counters(),
      emit: () => {},
    });
  }

  /** Lets time pass on its device, ms. */
  live(ms: number): void {
    this.simulation.runFor(ms);
  }

  /** Processor time that the present epoch takes it, ms, with the keys of those that it talks to. */
  async take(talking: readonly string[]): Promise<number> {
    const { governor, views, meshId, settings, rosters, directory } = this.services;
    const view = views.of(governor.servable!.epoch)!;
    const text = JSON.stringify([view.header.envelope, await this.answer()]);
    for (const nodeId of talking) this.talkTo(nodeId);
    // Of the lease, which it has already; the list of nodes that it names is the controller's to make.
    const roster = toBase64(rosters.of(view, true).name);
    const tunnelAddress = directory.nodes.get(this.nodeId)!.tunnelAddress;
    const before = process.cpuUsage();
    const [envelope, pushed] = JSON.parse(text) as [unknown, KeysAnswer];
    const header = openHeader(crypto, envelope, toBase64(meshId), [this.controllerKey]);
    if (!header.ok) throw new Error(header.problem.code);
    const { document } = header.value;
    await this.membership.removeAtOnce(document, document.changes.removed, this.nodeId);
    const lease = {
      document: {
        ...document,
        now: document.issued_at,
        allowed: true,
        tunnel_address: tunnelAddress,
        tunnel_prefix: settings.tunnelPrefix,
        roster,
      } as unknown as LeaseDocument,
      askedAt: this.clock.boot(),
    };
    const pins = pinCheck(this.state.readPins(), 60);
    const judged =
      this.version === undefined
        ? await this.follower.follow(lease, header.value, pins)
        : await this.follower.pushed(lease, header.value, pushed, pins);
    if (!judged || 'ignored' in judged) throw new Error(JSON.stringify(judged));
    if (!(await this.membership.apply(judged.config))) throw new Error('the device refused it');
    const used = process.cpuUsage(before);
    this.version = view.document.version;
    return (used.user + used.system) / 1000;
  }

  private async answer(): Promise<KeysAnswer> {
    const { governor, views, seals, deltas } = this.services;
    const { epoch, keys } = governor.servable!;
    const view = views.of(epoch)!;
    const delta = this.version === undefined ? null : await deltas.since(view, this.version);
    const sealed = await seals.of(view, keys)!;
    return keysAnswer(view, sealed, view.places.get(this.nodeId)!, delta);
  }

  /** A packet for it: the pair is in use. */
  private talkTo(nodeId: string): void {
    const address = parseAddress(this.services.directory.nodes.get(nodeId)!.tunnelAddress)!;
    this.device.sendPacket(innerPacket(this.device.prefix.address, address, new Uint8Array(64)));
  }
}
