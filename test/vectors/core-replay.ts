import { expect } from 'vitest';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { TAG_LENGTH, type TransportAeadFactory } from '../../src/crypto/transport-aead.ts';
import { javascriptKernel } from '../../src/datapath/checksum.ts';
import type { PeerChange } from '../../src/device/config.ts';
import { segmentsOf } from '../../src/io/segments.ts';
import { TunnelCore } from '../../src/tunnel/tunnel-core.ts';
import { parsePrefix } from '../../src/wire/address-text.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { INITIATION } from '../../src/wire/initiation.ts';
import { MESSAGE_TYPE, writeU32 } from '../../src/wire/message-type.ts';
import { TRANSPORT_DATA } from '../../src/wire/transport-data.ts';
import { fromHex, toHex } from '../lab/vectors.ts';
import { RecordedSecrets } from './recorded-secrets.ts';
import {
  type InitiationStep,
  type Name,
  other,
  type Scenario,
  type Step,
  type TransportStep,
} from './recording.ts';
import { answerTo } from './replay.ts';
import { BETWEEN_HANDSHAKES, endpointOf, FLOOD } from './stand-in.ts';

/** Bytes of a transport packet that are flipped one by one, besides those of its tag. */
const FORGED_FROM_FRONT = 96;

/**
 * Plays `scenario` with a whole tunnel of ours (device and data path) as `name`: every datagram it
 * sends must be the recorded one, transport data included, and it must deliver the recorded
 * packets, once each, and none that was tampered with.
 */
export function replayWhole(
  crypto: CryptoProvider,
  aead: TransportAeadFactory,
  scenario: Scenario,
  name: Name,
): void {
  new Replay(crypto, aead, scenario, name).run();
}

class Replay {
  private readonly scenario: Scenario;
  private readonly name: Name;
  private readonly core: TunnelCore;
  private readonly secrets = new RecordedSecrets();
  private readonly peerKey: Uint8Array;
  private readonly peerEndpoint: Endpoint;
  private readonly sent: string[] = [];
  private readonly delivered: string[] = [];
  private readonly expectedDrops: Record<string, number> = {};
  private late: TransportStep[] = [];
  private presharedKey: string | null;
  private now = 1_000_000;

  constructor(crypto: CryptoProvider, aead: TransportAeadFactory, scenario: Scenario, name: Name) {
    this.scenario = scenario;
    this.name = name;
    const own = scenario.devices[name];
    const peer = scenario.devices[other(name)];
    this.peerKey = fromHex(peer.static_public);
    this.peerEndpoint = endpointOf(peer);
    this.presharedKey = own.preshared_key;
    this.core = new TunnelCore({
      crypto,
      aead,
      kernel: javascriptKernel,
      random: this.secrets.random,
      wallClock: this.secrets.wallClock,
      mtu: scenario.mtu,
      maxPeers: 4,
      output: {
        sendDatagrams: (batch, segmentSize, endpoint) => {
          expect(endpoint).toMatchObject(this.peerEndpoint);
          this.sent.push(...segmentsOf(batch, segmentSize).map(toHex));
        },
        deliver: (packet) => this.delivered.push(toHex(packet)),
      },
    });
    this.core.configure({ privateKey: fromHex(own.static_private) }, this.now);
    this.configurePeer({
      endpoint: this.peerEndpoint,
      allowedIps: peer.allowed_ips.map((text) => ({ prefix: parsePrefix(text)! })),
      ...(own.preshared_key !== null && { presharedKey: fromHex(own.preshared_key) }),
    });
  }

  run(): void {
    for (const step of this.scenario.steps) {
      if (step.type === 'initiation') this.beforeHandshake(step);
      if (step.from === this.name) this.send(step);
      else this.receive(step);
    }
    this.deliverLate();
    expect(this.sent).toEqual([]);
    expect(this.delivered).toEqual([]);
    expect(this.core.drops()).toEqual(this.expectedDrops);
  }

  private sendPacket(hex: string): void {
    this.core.sendPacket(fromHex(hex), this.now);
    this.core.flush();
  }

  private beforeHandshake(step: InitiationStep): void {
    const session = this.scenario.sessions.find((s) => s.initiation_step === step.step);
    // A packet that was held back arrived while the session after its own was in use.
    if (this.late.some((l) => session !== undefined && session.session > l.session + 1)) {
      this.deliverLate();
    }
    const response = answerTo(this.scenario, step);
    if (response?.type === 'response' && response.outcome === 'accepted') {
      const present = this.presharedKey ?? '00'.repeat(32);
      if (response.preshared_key !== present) {
        this.presharedKey = response.preshared_key;
        this.configurePeer({ presharedKey: fromHex(this.presharedKey) });
      }
    }
    this.now += BETWEEN_HANDSHAKES;
  }

  /** Answers, confirming keepalives and staged packets have left by themselves, before. */
  private send(step: Step): void {
    if (this.sent.length === 0) {
      if (step.type === 'initiation') this.initiate(step);
      if (step.type === 'transport') this.sendTransport(step);
    }
    expect(this.sent.shift(), `step ${step.step}`).toBe(step.message);
  }

  private initiate(step: InitiationStep): void {
    this.secrets.use(step);
    this.core.poll(this.now); // retries by itself if an initiation went unanswered
    if (this.sent.length > 0) return;
    // With a packet to send if the recorded device had one, else as if a renewal were due.
    const session = this.scenario.sessions.find((s) => s.initiation_step === step.step);
    const first = this.scenario.steps.find(
      (s): s is TransportStep => s.type === 'transport' && s.session === session?.session,
    );
    if (first?.packet) this.sendPacket(first.packet);
    else this.core.device.handshakeWanted(0, this.now);
  }

  private sendTransport(step: TransportStep): void {
    if (step.packet !== '') {
      this.sendPacket(step.packet);
      return;
    }
    this.configurePeer({ persistentKeepalive: 25 });
    this.core.poll(this.now);
    this.configurePeer({ persistentKeepalive: 0 });
  }

  private receive(step: Step): void {
    if (step.type === 'transport') {
      if (step.outcome === 'accepted late') this.late.push(step);
      else this.receiveTransport(step);
      return;
    }
    const answer = answerTo(this.scenario, step);
    if (answer?.type === 'cookie-reply' || (step.type !== 'cookie-reply' && step.cookie)) {
      this.putUnderLoad();
    }
    if (answer !== undefined) this.secrets.use(answer);
    if (step.outcome === 'rejected') this.expectDrop('responseUnauthenticated');
    if (step.outcome === 'cookie-demanded') this.expectDrop('underLoadCookieSent');
    this.now += 50;
    this.datagram(fromHex(step.message));
    this.pollAll();
  }

  private receiveTransport(step: TransportStep): void {
    const message = fromHex(step.message);
    const tagAt = message.length - TAG_LENGTH;
    for (let at = 0; at < message.length; at++) {
      if (at >= FORGED_FROM_FRONT && at < tagAt) continue;
      const forged = message.slice();
      forged[at]! ^= 1;
      this.datagram(forged);
      if (at < TRANSPORT_DATA.receiver) this.expectDrop('unknownMessageType');
      else if (at < TRANSPORT_DATA.counterLow) this.expectDrop('unknownReceiverIndex');
      else this.expectDrop('authenticationFailed');
    }
    expect(this.delivered).toEqual([]);

    this.datagram(message.slice());
    expect(this.delivered.splice(0), `step ${step.step}`).toEqual(
      step.packet === '' ? [] : [step.packet],
    );

    this.datagram(message);
    this.expectDrop('replayed');
    expect(this.delivered).toEqual([]);
  }

  private deliverLate(): void {
    for (const step of this.late) this.receiveTransport(step);
    this.late = [];
  }

  private putUnderLoad(): void {
    const junk = new Uint8Array(INITIATION.length);
    writeU32(junk, INITIATION.type, MESSAGE_TYPE.initiation);
    for (let i = 0; i < FLOOD; i++) {
      this.datagram(junk.slice());
      this.expectDrop('mac1Invalid');
    }
    this.pollAll();
  }

  private pollAll(): void {
    do this.core.poll(this.now);
    while (this.core.nextPoll(this.now) <= this.now);
  }

  private datagram(bytes: Uint8Array): void {
    this.core.receiveDatagrams(bytes, bytes.length, this.peerEndpoint, this.now);
  }

  private configurePeer(change: Omit<PeerChange, 'publicKey'>): void {
    this.core.configure({ peers: [{ publicKey: this.peerKey, ...change }] }, this.now);
  }

  private expectDrop(reason: string): void {
    this.expectedDrops[reason] = (this.expectedDrops[reason] ?? 0) + 1;
  }
}
