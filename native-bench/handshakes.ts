import type { CryptoProvider } from '../src/crypto/provider.ts';
import { TRANSPORT_AEAD_FACTORIES } from '../src/crypto/transport-select.ts';
import { javascriptKernel } from '../src/datapath/checksum.ts';
import { CookieChecker, CookieGenerator } from '../src/noise/cookie.ts';
import { Initiator } from '../src/noise/initiator.ts';
import { ZERO_PSK } from '../src/noise/protocol.ts';
import { Responder } from '../src/noise/responder.ts';
import { TunnelCore } from '../src/tunnel/tunnel-core.ts';
import { encodeInitiation, parseInitiation } from '../src/wire/initiation.ts';
import { encodeResponse, parseResponse } from '../src/wire/response.ts';
import { encodeTai64n } from '../src/wire/tai64n.ts';

/**
 * Complete handshakes, both sides on one thread. The kinds are those of cmd/handshake-bench, which
 * measures the official wireguard-go. Each function sets two sides up and returns one handshake.
 *
 * noise      both Noise messages written and read, keys derived: four ephemeral and static
 *            Diffie-Hellman operations on each side (static-static is precomputed per peer)
 * datagrams  the same, with messages as bytes and mac1 made and checked
 * tunnels    two whole tunnel cores: peers, index tables, timers, keypairs installed in the data
 *            path, the confirming keepalive sealed and opened
 */
const NOTHING = new Uint8Array(0);
const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));

function sides(provider: CryptoProvider) {
  const initiatorStatic = provider.x25519PrivateKey(randomBytes(32));
  const responderStatic = provider.x25519PrivateKey(randomBytes(32));
  const staticStatic = initiatorStatic.agree(responderStatic.publicKey)!;
  return { provider, initiatorStatic, responderStatic, staticStatic };
}
type Sides = ReturnType<typeof sides>;

const newInitiator = (s: Sides): Initiator =>
  new Initiator({
    crypto: s.provider,
    localStatic: s.initiatorStatic,
    remoteStatic: s.responderStatic.publicKey,
    staticStatic: s.staticStatic,
    ephemeral: s.provider.x25519PrivateKey(randomBytes(32)),
  });

export function noiseHandshake(provider: CryptoProvider): () => void {
  const s = sides(provider);
  return () => {
    const initiator = newInitiator(s);
    const first = initiator.writeMessage(encodeTai64n(0n))!;
    const responder = new Responder({ crypto: s.provider, localStatic: s.responderStatic });
    responder.readStatic(first.ephemeral, first.encryptedStatic);
    responder.readPayload(first.payload, s.staticStatic);
    const ephemeral = s.provider.x25519PrivateKey(randomBytes(32));
    const second = responder.writeMessage(ephemeral, NOTHING, ZERO_PSK)!;
    if (!initiator.readMessage(second.ephemeral, second.payload, ZERO_PSK))
      throw new Error('failed');
  };
}

export function datagramHandshake(provider: CryptoProvider): () => void {
  const s = sides(provider);
  const checkers = [s.initiatorStatic, s.responderStatic].map(
    ({ publicKey }) => new CookieChecker(provider, publicKey, randomBytes),
  ) as [CookieChecker, CookieChecker];
  const generators = [s.responderStatic, s.initiatorStatic].map(
    ({ publicKey }) => new CookieGenerator(provider, publicKey),
  ) as [CookieGenerator, CookieGenerator];
  return () => {
    const initiator = newInitiator(s);
    const first = initiator.writeMessage(encodeTai64n(0n))!;
    const initiation = encodeInitiation({
      sender: 1,
      ephemeral: first.ephemeral,
      encryptedStatic: first.encryptedStatic,
      encryptedTimestamp: first.payload,
    });
    generators[0].addMacs(initiation, 0);

    if (!checkers[1].hasValidMac1(initiation)) throw new Error('mac1');
    const parsed = parseInitiation(initiation)!;
    const responder = new Responder({ crypto: provider, localStatic: s.responderStatic });
    responder.readStatic(parsed.ephemeral, parsed.encryptedStatic);
    responder.readPayload(parsed.encryptedTimestamp, s.staticStatic);
    const ephemeral = provider.x25519PrivateKey(randomBytes(32));
    const second = responder.writeMessage(ephemeral, NOTHING, ZERO_PSK)!;
    const response = encodeResponse({
      sender: 2,
      receiver: 1,
      ephemeral: second.ephemeral,
      encryptedNothing: second.payload,
    });
    generators[1].addMacs(response, 0);

    if (!checkers[0].hasValidMac1(response)) throw new Error('mac1');
    const read = parseResponse(response)!;
    if (!initiator.readMessage(read.ephemeral, read.encryptedNothing, ZERO_PSK)) {
      throw new Error('failed');
    }
  };
}

export function tunnelHandshake(provider: CryptoProvider): () => void {
  let now = 1000;
  let handshakes = 0;
  const wire: [to: number, datagram: Uint8Array][] = [];
  const address = (side: number): Uint8Array => Uint8Array.of(10, 0, 0, side + 1);
  const endpoint = (side: number) =>
    ({ family: 4, address: Uint8Array.of(192, 0, 2, side + 1), port: 1, scope: 0 }) as const;
  const keys = [randomBytes(32), randomBytes(32)] as const;
  const cores = [0, 1].map(
    (side) =>
      new TunnelCore({
        crypto: provider,
        random: randomBytes,
        aead: TRANSPORT_AEAD_FACTORIES['wasm-simd'],
        kernel: javascriptKernel,
        mtu: 1420,
        maxPeers: 4,
        wallClock: () => 1_700_000_000_000 + now,
        onHandshake: () => handshakes++,
        output: {
          sendDatagrams: (message) => wire.push([1 - side, new Uint8Array(message)]),
          deliver: () => {},
        },
      }),
  ) as [TunnelCore, TunnelCore];
  for (const side of [0, 1] as const) {
    const other = 1 - side;
    const peer = {
      publicKey: provider.x25519Public(keys[other as 0 | 1]),
      endpoint: endpoint(other),
      allowedIps: [{ prefix: { address: address(other), length: 32 } }],
    };
    cores[side].configure({ privateKey: keys[side], peers: [peer] }, now);
  }
  return () => {
    now += 6000; // more than REKEY_TIMEOUT
    const before = handshakes;
    cores[0].device.handshakeWanted(0, now);
    for (let next = wire.shift(); next !== undefined; next = wire.shift()) {
      const [to, datagram] = next;
      const core = cores[to as 0 | 1];
      core.receiveDatagrams(datagram, datagram.length, endpoint(1 - to), now);
      if (core.needsPoll) core.poll(now);
    }
    if (handshakes !== before + 2) throw new Error('the handshake was not completed');
  };
}
