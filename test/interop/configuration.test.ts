import { expect, test } from 'vitest';
import { forEveryPair } from './matrix.ts';
import { type End, generateKeys, generatePsk, type Pair } from './pair.ts';
import { reaches, sendUdp } from './traffic.ts';

/** For what must not be answered. */
const once = ['-c', '1', '-W', '1'];

/** Forgets the peer and makes it again: the next packet needs a handshake under `psk`. */
function makeAnew(pair: Pair, end: End, psk: string): void {
  end.set(['peer', pair.otherOf(end).keys.publicKey, 'remove']);
  end.configure('addconf', pair.peerSection(end, `PresharedKey = ${psk}`));
}

const bothEnds = (pair: Pair) => [
  [pair.left, pair.right] as const,
  [pair.right, pair.left] as const,
];

forEveryPair(
  'configuration at run time',
  (withPair) => {
    test('allowed-ips that move to another peer take their traffic along, both ways', async () => {
      await withPair({}, async (pair) => {
        await pair.connect();
        for (const [end, other] of bothEnds(pair)) {
          const stranger = generateKeys().publicKey;
          end.set(['peer', stranger, 'allowed-ips', `${other.inner4}/32`]);
          // Out: it is routed to the stranger. In: its source is not the peer's any more.
          expect(await end.ping(other.inner4, once)).toBe(false);
          expect(await other.ping(end.inner4, once)).toBe(false);
          expect(await other.ping(end.inner6)).toBe(true);
          const both = `${other.inner4}/32,${other.inner6}/128`;
          end.set(['peer', other.keys.publicKey, 'allowed-ips', both]);
          expect(end.show('allowed-ips', stranger)).toBe('(none)');
          expect(await other.ping(end.inner4)).toBe(true);
          end.set(['peer', stranger, 'remove']);
        }
      });
    });

    test('a packet with an inner source that is not the peer’s is dropped', async () => {
      await withPair({}, async (pair) => {
        await pair.connect();
        for (const [end, other] of bothEnds(pair)) {
          const forged = '10.77.0.99';
          const run = (verb: string) =>
            other.namespace.run(['ip', 'address', verb, `${forged}/32`, 'dev', other.name]);
          run('add');
          const capture = end.namespace.spawn(
            `tcpdump -n -l -i ${end.name} -c 1 src host ${forged}`.split(' '),
          );
          let seen = '';
          capture.stdout?.on('data', (data) => {
            seen += data;
          });
          await new Promise((resolve) => capture.stderr?.once('data', resolve));
          const pings = ['-c', '3', '-i', '0.1', '-W', '1', '-I', forged];
          expect(await other.ping(end.inner4, pings)).toBe(false);
          run('del');
          expect(await other.ping(end.inner4)).toBe(true);
          expect(seen).toBe('');
          capture.kill();
        }
      });
    });

    test('a removed peer is cut off at once and can come back', async () => {
      await withPair({}, async (pair) => {
        await pair.connect();
        for (const [end, other] of bothEnds(pair)) {
          end.set(['peer', other.keys.publicKey, 'remove']);
          expect(end.wg('show', end.name, 'peers')).toBe('');
          expect(await other.ping(end.inner4, once)).toBe(false);
          expect(await sendUdp(other, end, 20)).toEqual({ received: 0, distinct: 0 });
          end.configure('addconf', pair.peerSection(end));
          await reaches(end, other, 'the peer that came back');
          await reaches(other, end, 'the way back');
        }
      });
    });

    test('a pre-shared key that changes at both ends is in force at the next handshake', async () => {
      await withPair({ presharedKey: generatePsk() }, async (pair) => {
        await pair.connect();
        for (const [end, other] of bothEnds(pair)) {
          const psk = generatePsk();
          other.set(['peer', end.keys.publicKey, 'preshared-key', '/dev/stdin'], psk);
          expect(await end.ping(other.inner4)).toBe(true); // the session lives on
          makeAnew(pair, end, psk);
          await reaches(end, other, 'the peer under the new key');
          await reaches(other, end, 'the way back');
        }
        // A key that only one end has: the other one has no session left, and gets no new one.
        const { left, right } = pair;
        makeAnew(pair, left, generatePsk());
        expect(await left.ping(right.inner4, ['-c', '2', '-W', '1'])).toBe(false);
        // Cleared at both ends, the second time at run time.
        makeAnew(pair, left, Buffer.alloc(32).toString('base64'));
        right.set(['peer', left.keys.publicKey, 'preshared-key', '/dev/null']);
        await reaches(left, right, 'the peer without a pre-shared key');
      });
    });

    test('a private key that is replaced ends what it had, and works with its new name', async () => {
      await withPair({}, async (pair) => {
        await pair.connect();
        for (const [end, other] of bothEnds(pair)) {
          const before = end.keys.publicKey;
          end.keys = generateKeys();
          end.set(['private-key', '/dev/stdin'], end.keys.privateKey);
          other.set(['peer', before, 'remove']);
          other.configure('addconf', pair.peerSection(other));
          await reaches(other, end, 'the peer under its new key');
          await reaches(end, other, 'the way back');
          expect(other.latestHandshake(end.keys.publicKey)).toBeGreaterThan(0);
        }
      });
    });

    test('syncconf changes nothing that is the same, and the sessions live on', async () => {
      await withPair({}, async (pair) => {
        await pair.connect();
        const { left, right } = pair;
        const before = left.latestHandshake(right.keys.publicKey);
        left.configure('syncconf', pair.configuration(left));
        expect(await left.ping(right.inner4)).toBe(true);
        expect(left.latestHandshake(right.keys.publicKey)).toBe(before);
      });
    });
  },
  ['tcpdump'],
  { concurrent: true },
);
