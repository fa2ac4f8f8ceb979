import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../../lab/free-ports.ts';
import { DEPLOY_CHECKERS } from '../../lab/requirements.ts';

/** Where the kinds that our chart uses live in the API. */
const KINDS: Readonly<Record<string, string>> = {
  ConfigMap: 'api/v1|configmaps',
  Namespace: 'api/v1|namespaces',
  Node: 'api/v1|nodes',
  Pod: 'api/v1|pods',
  Secret: 'api/v1|secrets',
  Service: 'api/v1|services',
  ServiceAccount: 'api/v1|serviceaccounts',
  DaemonSet: 'apis/apps/v1|daemonsets',
  Deployment: 'apis/apps/v1|deployments',
  StatefulSet: 'apis/apps/v1|statefulsets',
  NetworkPolicy: 'apis/networking.k8s.io/v1|networkpolicies',
  PodDisruptionBudget: 'apis/policy/v1|poddisruptionbudgets',
  ClusterRole: 'apis/rbac.authorization.k8s.io/v1|clusterroles',
  ClusterRoleBinding: 'apis/rbac.authorization.k8s.io/v1|clusterrolebindings',
};
const CLUSTER_WIDE = ['Namespace', 'Node', 'ClusterRole', 'ClusterRoleBinding'];

export interface ApiAnswer {
  readonly status: number;
  readonly body: {
    readonly message?: string;
    readonly metadata?: { readonly uid: string };
    readonly status?: { readonly token?: string };
  };
}

/** The real API server on a real etcd, without machines: what it accepts, a cluster accepts. */
export class Cluster {
  private readonly folder = mkdtempSync(join(tmpdir(), 'kubernetes-'));
  private readonly children: ChildProcess[] = [];
  private readonly adminToken = randomBytes(16).toString('hex');
  private port = 0;

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** Certificate (PEM) of the server, its own authority. */
  get authority(): string {
    return join(this.folder, 'server.crt');
  }

  async start(): Promise<void> {
    const [client, peer, port] = (await freePorts(3)) as [number, number, number];
    this.port = port;
    const etcd = `http://127.0.0.1:${client}`;
    this.launch('etcd', '/usr/bin/etcd', [
      `--data-dir=${join(this.folder, 'etcd')}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
      '--unsafe-no-fsync',
    ]);
    this.writeKeys();
    this.launch('kube-apiserver', DEPLOY_CHECKERS['kube-apiserver'], [
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=192.0.2.1',
      '--endpoint-reconciler-type=none',
      `--secure-port=${port}`,
      `--cert-dir=${this.folder}`,
      `--tls-cert-file=${this.authority}`,
      `--tls-private-key-file=${join(this.folder, 'server.key')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=RBAC',
      `--token-auth-file=${join(this.folder, 'tokens.csv')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-signing-key-file=${join(this.folder, 'accounts.key')}`,
      `--service-account-key-file=${join(this.folder, 'accounts.pub')}`,
    ]);
    const deadline = performance.now() + 60_000;
    while (performance.now() < deadline) {
      const ready = await this.call('GET', '/readyz').catch(() => undefined);
      if (ready?.status === 200) return;
      const ended = this.children.find(({ exitCode }) => exitCode !== null);
      if (ended) throw new Error(`${ended.spawnfile} ended: ${this.logOf(ended.spawnfile)}`);
      await delay(100);
    }
    throw new Error(`the API server does not get ready: ${this.logOf('kube-apiserver')}`);
  }

  async stop(): Promise<void> {
    for (const child of this.children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.folder, { recursive: true });
  }

  /** One call as an administrator; `body` is YAML or JSON. */
  call(method: string, path: string, body?: string): Promise<ApiAnswer> {
    const headers = {
      authorization: `Bearer ${this.adminToken}`,
      'content-type': 'application/yaml',
    };
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>();
    const call = request(`${this.url}${path}`, {
      method,
      headers,
      ca: readFileSync(this.authority),
    });
    call.on('error', reject);
    call.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => {
        const isJson = text.startsWith('{');
        resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : {} });
      });
    });
    call.end(body);
    return promise;
  }

  /** Creates an object from YAML, or with `dryRun` only asks whether it could be; unknown fields are refused. */
  create(namespace: string, document: string, dryRun = false): Promise<ApiAnswer> {
    const kind = /^kind: (\S+)$/m.exec(document)?.[1] ?? 'none';
    const place = KINDS[kind];
    if (place === undefined) throw new Error(`of what kind is this?\n${document}`);
    const [group, plural] = place.split('|') as [string, string];
    const scope = CLUSTER_WIDE.includes(kind) ? '' : `/namespaces/${namespace}`;
    const query = `fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
    return this.call('POST', `/${group}${scope}/${plural}?${query}`, document);
  }

  /** A token as the kubelet gets one for a pod of this account. */
  async accountToken(
    namespace: string,
    account: string,
    spec: { readonly audiences?: readonly string[]; readonly pod?: string; readonly uid?: string },
  ): Promise<string> {
    const { audiences = [], pod, uid } = spec;
    const bound =
      pod === undefined
        ? {}
        : { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod, uid } };
    const answer = await this.call(
      'POST',
      `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
      JSON.stringify({
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences, expirationSeconds: 600, ...bound },
      }),
    );
    const token = answer.body.status?.token;
    if (token === undefined) throw new Error(JSON.stringify(answer));
    return token;
  }

  private launch(name: string, program: string, parameters: readonly string[]): void {
    const log = openSync(join(this.folder, `${name}.log`), 'a');
    this.children.push(spawn(program, parameters, { stdio: ['ignore', log, log] }));
  }

  private logOf(program: string): string {
    const name = program.includes('etcd') ? 'etcd' : 'kube-apiserver';
    return readFileSync(join(this.folder, `${name}.log`), 'utf8').slice(-2000);
  }

  private writeKeys(): void {
    const admin = `${this.adminToken},admin,admin,system:masters\n`;
    writeFileSync(join(this.folder, 'tokens.csv'), admin, { mode: 0o600 });
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = { format: 'pem' } as const;
    writeFileSync(join(this.folder, 'accounts.key'), privateKey.export({ type: 'sec1', ...pem }), {
      mode: 0o600,
    });
    writeFileSync(join(this.folder, 'accounts.pub'), publicKey.export({ type: 'spki', ...pem }));
    makeCertificate(this.authority, join(this.folder, 'server.key'));
  }
}

/** A certificate of its own authority for 127.0.0.1, into two files. */
export function makeCertificate(cert: string, key: string): void {
  const made = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'],
      ...['-out', cert, '-keyout', key],
    ],
    { encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(made.stderr);
}
