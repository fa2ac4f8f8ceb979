import { expect, test } from 'vitest';
import { inboundThread, outboundThread } from '../../../src/tunnel/linux/messages.ts';
import { until } from '../../lab/netns.ts';
import { REAL_INTERFACES, requires } from '../../lab/requirements.ts';
import { useLab } from '../../lab/use-lab.ts';
import { expectPing, type Side, Site } from './pair.ts';

/**
 * Both workers sit in poll when these happen. Every way must end the process and leave no
 * interface behind; a worker that is not woken would make each of them hang.
 */
requires(...REAL_INTERFACES, 'ping')('a tunnel ends', () => {
  let site: Site;
  const lab = useLab(() => {
    site = new Site(lab);
  });

  async function expectEnded({ tunnel, namespace, name }: Side, within = 30_000) {
    const deadline = setTimeout(() => tunnel.process.kill('SIGKILL'), within);
    const result = await tunnel.exited;
    clearTimeout(deadline);
    expect(namespace.interfaces()).not.toContain(name);
    return result;
  }

  test('by process.exit', async () => {
    const side = await site.open(1);
    await side.tunnel.call('exit', 7).catch(() => {}); // no answer comes from a process that ends
    expect(await expectEnded(side)).toEqual({ code: 7, signal: null });
  });

  test('by an exception in the main thread', async () => {
    const side = await site.open(1);
    await side.tunnel.call('throw').catch(() => {});
    expect(await expectEnded(side)).toEqual({ code: 1, signal: null });
    expect(side.tunnel.stderr).toContain('thrown in main');
  });

  test('by SIGTERM without a handler', async () => {
    const side = await site.open(1);
    side.tunnel.process.kill('SIGTERM');
    expect(await expectEnded(side)).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test.each([
    ['outbound', outboundThread(0)],
    ['inbound', inboundThread(0)],
  ])('closed, with the error, when the %s worker crashes', async (what, thread) => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    await a.tunnel.call('crashWorker', thread);
    expect(await a.tunnel.closed).toMatch(new RegExp(`^${what}-worker failed: `));
    expect(site.left.interfaces()).not.toContain(a.name);
    await expect(a.tunnel.configure({ listenPort: 1 })).rejects.toMatchObject({ code: 'closed' });
    await a.tunnel.call('disconnect');
    expect(await expectEnded(a)).toEqual({ code: 0, signal: null });
    await b.tunnel.close();
  });

  test('when its interface is deleted', async () => {
    const side = await site.open(1);
    site.left.run(['ip', 'link', 'del', side.name]);
    expect(await side.tunnel.closed).toBeUndefined();
    await side.tunnel.call('disconnect');
    expect(await expectEnded(side)).toEqual({ code: 0, signal: null });
  });

  test('under load, in the middle of a transfer', async () => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    const flood = site.left.spawn(['ping', '-f', '-s', '1200', '10.7.0.2']);
    await until(
      async () => (await b.tunnel.state()).status.peers[0]!.rxBytes > 1_000_000,
      'a flood',
    );
    await a.tunnel.close();
    await b.tunnel.close();
    flood.kill();
    expect(await expectEnded(a)).toEqual({ code: 0, signal: null });
    expect(await expectEnded(b)).toEqual({ code: 0, signal: null });
  });

  test('and gives back every descriptor, also after it was opened and closed many times', async () => {
    const side = await site.open(1);
    const descriptors = () =>
      site.left
        .run(['ls', `/proc/${side.tunnel.process.pid}/fd`])
        .trim()
        .split('\n').length;
    const reopen = async () => {
      await side.tunnel.call('close');
      await side.tunnel.call('open', { name: side.name, listenPort: side.port });
      // All workers have acted on this: what warming up opens, each has closed by then.
      await side.tunnel.configure({ listenPort: 0 });
      await side.tunnel.configure({ listenPort: side.port });
    };
    await reopen();
    const before = descriptors();
    for (let round = 0; round < 5; round++) await reopen();
    expect(descriptors()).toBe(before);
    await side.tunnel.close();
  });
});
