import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { documentsIn, EVERYTHING, NAMESPACE, rendered } from '../deploy/kubernetes/chart.ts';
import { type ApiAnswer, Cluster, makeCertificate } from '../deploy/kubernetes/cluster.ts';
import { requires } from '../lab/requirements.ts';

const MESHNET = new URL('../../src/cli/meshnet.ts', import.meta.url).pathname;
const AUDIENCE = `test-meshnet.${NAMESPACE}`;
const CREATED = 201;

/** What a program printed and how it ended. */
interface Ran {
  readonly child: ChildProcess;
  text: string;
  readonly ended: Promise<number | null>;
}

function meshnet(parameters: readonly string[], env: NodeJS.ProcessEnv = {}): Ran {
  const child = spawn(process.execPath, [MESHNET, ...parameters], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const ran: Ran = { child, text: '', ended };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part) => {
      ran.text += part;
    });
  }
  return ran;
}

requires(
  'kube-apiserver',
  'etcd',
  'helm',
  'openssl',
)('with the API server of Kubernetes', () => {
  const cluster = new Cluster();
  const folder = mkdtempSync(join(tmpdir(), 'join-'));
  const file = (name: string) => join(folder, name);
  beforeAll(async () => {
    await cluster.start();
    const namespace = `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${NAMESPACE}}\n`;
    expect((await cluster.create(NAMESPACE, namespace)).status).toBe(CREATED);
  });
  afterAll(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true });
  });

  const documents = (values?: object) => documentsIn(rendered(values).output);
  const dryRun = (document: string) => cluster.create(NAMESPACE, document, true);

  describe('the chart', () => {
    test.for([
      ['as it comes', {}],
      ['with everything', EVERYTHING],
    ] as const)('would be taken, %s', async ([, values]) => {
      for (const document of documents(values)) {
        const { status, body } = await dryRun(document);
        expect(status, `${body.message}\n${document}`).toBe(CREATED);
      }
    });

    test.for([
      ['an unknown field', 'hostNetwork: true', 'hostNetworks: true', 'hostNetworks'],
      ['a value of the wrong kind', 'hostNetwork: true', 'hostNetwork: perhaps', 'hostNetwork'],
      ['a mount without a volume', 'name: tun,', 'name: tunnel,', 'tunnel'],
      [
        'a selector for other pods',
        'component: node\n  updateStrategy',
        'component: others\n  updateStrategy',
        'selector',
      ],
    ] as const)('is refused with %s', async ([, right, wrong, named]) => {
      const daemonSet = documents().find((one) => /^kind: DaemonSet$/m.test(one))!;
      expect(daemonSet).toContain(right);
      const { status, body } = await dryRun(daemonSet.replace(right, wrong));
      expect(status).toBeGreaterThanOrEqual(400);
      expect(body.message).toContain(named);
    });
  });

  describe('pods enrol by themselves', () => {
    const controller = new ControllerProcess(['--epoch', '60']);
    let port = 0;
    let server: Ran;

    beforeAll(async () => {
      for (const document of documents(EVERYTHING)) {
        const kind = /^kind: (\S+)$/m.exec(document)![1]!;
        if (!['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding'].includes(kind)) continue;
        expect((await cluster.create(NAMESPACE, document)).status).toBe(CREATED);
      }
      const machine = 'apiVersion: v1\nkind: Node\nmetadata: {name: worker-1.example}\n';
      expect((await cluster.create(NAMESPACE, machine)).status).toBe(CREATED);
      makeCertificate(file('tls.crt'), file('tls.key'));
      const reviewer = await cluster.accountToken(NAMESPACE, 'test-meshnet-controller', {});
      writeFileSync(file('reviewer'), reviewer, { mode: 0o600 });
      await controller.start();
      server = meshnet(
        [
          ...['token', 'kubernetes', '--socket', controller.socket, '--json'],
          ...[
            '--listen',
            '127.0.0.1:0',
            '--tls-cert',
            file('tls.crt'),
            '--tls-key',
            file('tls.key'),
          ],
          ...['--audience', AUDIENCE, '--api', cluster.url, '--api-token', file('reviewer')],
          ...['--ephemeral', '10m', '--pods', `${NAMESPACE}/test-meshnet-sidecar`],
          ...['--machines', `${NAMESPACE}/test-meshnet-node`],
        ],
        { NODE_EXTRA_CA_CERTS: cluster.authority },
      );
      await vi.waitFor(() => expect(server.text).toContain('"listening"'), { timeout: 20_000 });
      port = Number(/"port":(\d+)/.exec(server.text)![1]);
    });
    afterAll(async () => {
      server.child.kill('SIGTERM');
      expect(await server.ended).toBe(0);
      await controller.remove();
    });

    /** A pod that runs on a machine, as far as the API server knows. */
    const pod = async (name: string, account: string): Promise<string> => {
      const document = JSON.stringify(
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name },
          spec: {
            serviceAccountName: account,
            nodeName: 'worker-1.example',
            containers: [{ name: 'app', image: 'app:1' }],
          },
        },
        null,
        1,
      );
      const answer = await cluster.call('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, document);
      expect(answer.status, answer.body.message).toBe(CREATED);
      return answer.body.metadata!.uid;
    };

    const identity = async (name: string, account: string, audiences = [AUDIENCE]) => {
      const uid = await pod(name, account);
      const token = await cluster.accountToken(NAMESPACE, account, { audiences, pod: name, uid });
      writeFileSync(file(name), token, { mode: 0o600 });
      return token;
    };

    const fetched = async (name: string): Promise<{ code: number | null; text: string }> => {
      const url = `https://127.0.0.1:${port}`;
      const into = file(`${name}.join`);
      const ran = meshnet(
        ['token', 'fetch', url, '--identity', file(name), '--into', into, '--timeout', '0s'],
        { NODE_EXTRA_CA_CERTS: file('tls.crt') },
      );
      return { code: await ran.ended, text: ran.text };
    };

    test('a pod gets a token for a node of its name, joins, and needs none after that', async () => {
      const secret = await identity('inference-1', 'test-meshnet-sidecar');
      expect(await fetched('inference-1')).toMatchObject({ code: 0 });
      const into = file('inference-1.join');
      expect(statSync(into).mode & 0o777).toBe(0o600);
      const joinToken = readFileSync(into, 'utf8').trim();

      const node = meshnet([
        ...['node', '--controller', controller.url, '--state', file('node'), '--json'],
        ...['--name', 'inference-1', '--token-file', into, '--backend', 'userspace'],
      ]);
      onTestFinished(() => void node.child.kill('SIGKILL'));
      const enrolled = async () => (await controller.epoch()).nodes.map(({ node_id }) => node_id);
      await expect.poll(enrolled, { timeout: 20_000 }).toContain('inference-1');

      expect(await fetched('inference-1')).toEqual({ code: 0, text: 'inference-1 is enrolled\n' });
      expect(readFileSync(into, 'utf8')).toBe('');
      for (const kept of [secret, joinToken]) expect(server.text).not.toContain(kept);
    });

    test('a pod on behalf of its machine joins by the name of the machine', async () => {
      await identity('node-x7k2p', 'test-meshnet-node');
      const { code, text } = await fetched('node-x7k2p');
      expect([code, text]).toEqual([0, expect.stringContaining('join token for worker-1: ')]);
    });

    test('asked again, the token before it is of no use any more', async () => {
      await identity('inference-2', 'test-meshnet-sidecar');
      await fetched('inference-2');
      await fetched('inference-2');
      const { text } = await controller.admin('GET', '/v1/tokens');
      const { tokens } = JSON.parse(text) as { tokens: { node_id: string }[] };
      expect(tokens.filter(({ node_id }) => node_id === 'inference-2')).toMatchObject([
        { silence_s: 600 },
      ]);
    });

    test('who may not enrol is told why, and gets nothing', async () => {
      await identity('for-others', 'test-meshnet-sidecar', ['somebody-else']);
      expect(await fetched('for-others')).toEqual({
        code: 4,
        text: expect.stringContaining('401, Kubernetes does not vouch for this token'),
      });
      await identity('reviewer-1', 'test-meshnet-controller');
      expect(await fetched('reviewer-1')).toEqual({
        code: 4,
        text: expect.stringContaining(`${NAMESPACE}/test-meshnet-controller may not enrol`),
      });
      await identity('dotted.name', 'test-meshnet-sidecar');
      expect(await fetched('dotted.name')).toEqual({
        code: 4,
        text: expect.stringContaining('is no node name'),
      });
      writeFileSync(file('made-up'), 'eyJhbGciOiJub25lIn0.e30.');
      expect((await fetched('made-up')).code).toBe(4);
      for (const name of ['for-others', 'reviewer-1', 'dotted.name', 'made-up']) {
        expect(existsSync(file(`${name}.join`))).toBe(false);
      }
    });

    test('a pod that was deleted is nobody any more', async () => {
      await identity('short-lived', 'test-meshnet-sidecar');
      const path = `/api/v1/namespaces/${NAMESPACE}/pods/short-lived?gracePeriodSeconds=0`;
      expect((await cluster.call('DELETE', path)).status).toBe(200);
      const gone = async (): Promise<ApiAnswer['status']> =>
        (await cluster.call('GET', path.split('?')[0]!)).status;
      await expect.poll(gone).toBe(404);
      await expect
        .poll(async () => (await fetched('short-lived')).code, { timeout: 30_000 })
        .toBe(4);
    });

    test('without the API server nobody is let in and nobody refused', async () => {
      await identity('patient', 'test-meshnet-sidecar');
      writeFileSync(file('reviewer'), 'nobody', { mode: 0o600 });
      expect(await fetched('patient')).toEqual({
        code: 3,
        text: expect.stringContaining('did not review the token: status 401'),
      });
    });
  });
});
