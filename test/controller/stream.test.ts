import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../src/contract/envelope.ts';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import type { StreamEvent } from '../../src/contract/stream-event.ts';
import { StreamHub, type StreamSink } from '../../src/controller/stream-hub.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { epochOf } from './store/conformance.ts';
import { SimClock, settled } from './support/sim-clock.ts';
import { call, payloadOf, problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

const crypto = defaultProvider();

describe('the hub', () => {
  let clock: SimClock;
  let hub: StreamHub;
  let signatures: number;
  beforeEach(() => {
    clock = new SimClock();
    signatures = 0;
    const counting = {
      ...crypto,
      ed25519Sign: (seed: Uint8Array, message: Uint8Array) => {
        signatures++;
        return crypto.ed25519Sign(seed, message);
      },
    };
    const key = new Uint8Array(32).fill(1);
    hub = new StreamHub({ crypto: counting, clock, meshId: key, signingSeed: key, silenceS: 180 });
  });
  afterEach(() => hub.close());

  class Reader implements StreamSink {
    backlog = 0;
    ended = false;
    readonly texts: string[] = [];
    write(text: string) {
      this.texts.push(text);
    }
    end() {
      this.ended = true;
    }
  }

  test('signs an epoch once and writes the same bytes to all', () => {
    const readers = Array.from({ length: 100 }, (_, i) => {
      const reader = new Reader();
      hub.add(`n${i}`, reader);
      return reader;
    });
    hub.publish(epochOf(3, { removed: ['x'] }));
    expect(signatures).toBe(1);
    expect(new Set(readers.flatMap((reader) => reader.texts)).size).toBe(1);
    expect(readers.every((reader) => reader.texts.length === 1)).toBe(true);
  });

  test('tells of the header after who was removed', () => {
    const reader = new Reader();
    hub.add('a', reader);
    const header = signEnvelope(crypto, new Uint8Array(32).fill(1), PAYLOAD_TYPES.header, {});
    hub.publish(epochOf(3, { removed: ['x'] }), header);
    const [text] = reader.texts;
    expect(text!.indexOf('event: epoch\n')).toBe(0);
    expect(text).toContain(`event: header\nid: 3.3\ndata: ${JSON.stringify(header)}\n\n`);
  });

  test('tells a late reader the newest epoch', () => {
    hub.publish(epochOf(3));
    hub.publish(epochOf(4));
    const reader = new Reader();
    hub.add('a', reader);
    expect(reader.texts).toHaveLength(1);
    expect(reader.texts[0]).toContain('id: 4.4\n');
    expect(signatures).toBe(2);
  });

  test('beats every two seconds', async () => {
    const reader = new Reader();
    hub.add('a', reader);
    await clock.advance(10_000);
    expect(reader.texts).toEqual(Array.from({ length: 5 }, () => ': heartbeat\n\n'));
  });

  test('cuts off a reader that does not read, and no other', () => {
    const [slow, quick] = [new Reader(), new Reader()];
    hub.add('slow', slow);
    hub.add('quick', quick);
    slow.backlog = 256 * 1024 + 1;
    hub.publish(epochOf(1));
    expect([slow.ended, slow.texts.length]).toEqual([true, 0]);
    expect([quick.ended, quick.texts.length]).toEqual([false, 1]);
    expect(hub.size).toBe(1);
  });

  test('drops a node that signs no request any more, however open its connection looks', async () => {
    const [gone, there] = [new Reader(), new Reader()];
    hub.add('gone', gone);
    hub.add('there', there);
    for (let i = 0; i < 20; i++) {
      await clock.advance(10_000);
      hub.seen('there');
    }
    expect([gone.ended, there.ended]).toEqual([true, false]);
  });

  test('keeps one stream for each node; the end of the old one does not end the new', () => {
    const [old, fresh] = [new Reader(), new Reader()];
    const ended = hub.add('a', old);
    hub.add('a', fresh);
    expect([old.ended, fresh.ended]).toEqual([true, false]);
    ended();
    expect(hub.size).toBe(1);
    hub.drop('a');
    expect([fresh.ended, hub.size]).toEqual([true, 0]);
  });
});

describe('over HTTP', () => {
  let mesh: TestMesh;
  let a: TestNode;
  const open: ClientRequest[] = [];
  beforeEach(async () => {
    mesh = await TestMesh.start();
    a = await mesh.enrol('a', 1);
    await mesh.report(0.9, a);
    await mesh.rotate();
  });
  afterEach(async () => {
    for (const one of open) one.destroy();
    await mesh.stop();
  });

  const urlOf = (node: TestNode) => `${mesh.url}/v1/stream/${node.nodeId}`;
  const signed = (node: TestNode) =>
    node.signed(urlOf(node), SIGNATURE_TAGS.stream, mesh.clock.now());

  interface Stream {
    readonly response: IncomingMessage;
    readonly text: () => string;
    readonly closed: () => boolean;
  }

  function stream(node: TestNode, headers = signed(node)): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const sent = request(urlOf(node), { headers, agent: false });
      open.push(sent);
      sent.on('error', reject);
      sent.on('response', (response) => {
        let text = '';
        let closed = false;
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', () => {});
        response.on('close', () => {
          closed = true;
        });
        resolve({ response, text: () => text, closed: () => closed });
      });
      sent.end();
    });
  }

  const arrived = (check: () => boolean) => expect.poll(check).toBe(true);

  const events = (text: string): StreamEvent[] =>
    [...text.matchAll(/^event: epoch\nid: .*\ndata: (.*)$/gm)].map((match) =>
      payloadOf<StreamEvent>(JSON.parse(match[1]!) as Envelope),
    );

  test('each epoch arrives, with who was removed', async () => {
    const b = await mesh.enrol('b', 2);
    await mesh.report(0.9, a, b);
    await mesh.rotate();
    const { epoch } = await mesh.epoch();
    const mine = await stream(a);
    expect(mine.response.headers['content-type']).toBe('text/event-stream');
    await mesh.report(0.1, b);
    await mesh.rotate();
    await arrived(() => events(mine.text()).length === 2);
    expect(events(mine.text())).toMatchObject([
      { epoch, removed: [] },
      { epoch: epoch + 1, removed: ['b'], audience: 'members' },
    ]);
  });

  test('a removal is with the system before the disk is waited for again', async () => {
    await stream(a);
    const { store, streams } = mesh.controller.services;
    const { sink } = Reflect.get(streams, 'streams').get('a') as { sink: StreamSink };
    const unsent: number[] = [];
    const scrub = store.scrub.bind(store);
    store.scrub = () => {
      unsent.push(sink.backlog);
      return scrub();
    };
    await mesh.rotate();
    expect(unsent).toEqual([0]);
  });

  test('a denied node hears of epochs too, a removed one is cut off', async () => {
    const b = await mesh.enrol('b', 2);
    const theirs = await stream(b);
    await arrived(() => events(theirs.text()).length === 1);
    expect((await mesh.admin('DELETE', '/v1/nodes/b')).status).toBe(200);
    await arrived(theirs.closed);
  });

  test('a replayed request cannot evict the live stream', async () => {
    const headers = signed(a);
    const mine = await stream(a, headers);
    const replay = await call(urlOf(a), { headers });
    expect([replay.status, problemOf(replay).code]).toEqual([401, 'nonce_reused']);
    await mesh.rotate();
    await arrived(() => events(mine.text()).length === 2);
    expect(mine.closed()).toBe(false);
  });

  test('not after a restart either', async () => {
    const headers = { ...signed(a), host: new URL(urlOf(a)).host };
    await stream(a, headers);
    await mesh.restart();
    const mine = await stream(a);
    const replay = await call(urlOf(a), { headers });
    expect([replay.status, problemOf(replay).code]).toEqual([401, 'signature_expired']);
    await mesh.report(0.9, a);
    await arrived(() => events(mine.text()).length >= 1);
    expect(mine.closed()).toBe(false);
    expect(mesh.controller.services.streams.size).toBe(1);
  });

  test('a fresh request takes the place of the old stream', async () => {
    const old = await stream(a);
    const fresh = await stream(a);
    await arrived(old.closed);
    await mesh.rotate();
    await arrived(() => events(fresh.text()).length === 2);
    expect(mesh.controller.services.streams.size).toBe(1);
  });

  test('a reader that hangs up is forgotten', async () => {
    const { response } = await stream(a);
    expect(mesh.controller.services.streams.size).toBe(1);
    response.destroy();
    await arrived(() => mesh.controller.services.streams.size === 0);
  });

  test('a reader that stops reading costs a bounded backlog', async () => {
    const { response } = await stream(a);
    response.pause();
    const { streams } = mesh.controller.services;
    const removed = Array.from({ length: 5000 }, (_, i) => `a-rather-long-node-name-${i}`);
    for (let i = 2; streams.size > 0 && i < 400; i++) {
      streams.publish(epochOf(i, { removed }));
      await settled();
    }
    expect(streams.size).toBe(0);
  });

  test('polls keep a stream, silence ends it', async () => {
    const mine = await stream(a);
    for (let i = 0; i < 30; i++) {
      await mesh.clock.advance(10_000);
      await mesh.configCall(a);
    }
    expect(mine.closed()).toBe(false);
    await mesh.clock.advance(190_000);
    await arrived(mine.closed);
  });
});
