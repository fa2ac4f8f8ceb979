import type { ChildProcess } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ended, type Lab, type Namespace } from '../lab/netns.ts';
import { DEPLOY_CHECKERS, findExecutable } from '../lab/requirements.ts';

/** Of a service, as the library of Docker Compose prints it. */
export interface Service {
  readonly command: readonly string[];
  readonly user?: string;
  readonly cap_add?: readonly string[];
  readonly devices?: readonly { readonly source: string }[];
  readonly network_mode?: string;
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>>;
  readonly volumes?: readonly {
    readonly source: string;
    readonly target: string;
    readonly read_only?: boolean;
  }[];
}

interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
}

/** What a finished container said. */
export interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/**
 * Containers without a daemon: each service of a Compose file in a network namespace at its address on a
 * bridge, on the read-only root of the image, with its volumes, as its user, with its capabilities alone.
 */
export class Containers {
  private readonly folder: string;
  private readonly services: Readonly<Record<string, Service>>;
  private readonly config: ImageConfig;
  private readonly namespaces = new Map<string, Namespace>();

  /** `folder`: for volumes and mount points, this object's own. */
  constructor(lab: Lab, folder: string, services: Readonly<Record<string, Service>>) {
    this.folder = folder;
    this.services = services;
    const inspected = readFileSync(join(DEPLOY_CHECKERS.image, '../image.json'), 'utf8');
    const { Docker } = JSON.parse(inspected) as { Docker: { config: ImageConfig } };
    this.config = Docker.config;
    const hub = lab.namespace('hub');
    hub.run(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
    hub.run(['ip', 'link', 'set', 'br0', 'up']);
    for (const [name, { networks = {} }] of Object.entries(services)) {
      const address = networks.mesh?.ipv4_address;
      const namespace = lab.namespace(name);
      this.namespaces.set(name, namespace);
      if (address === undefined) continue;
      const veth = ['ip', 'link', 'add', name, 'type', 'veth'];
      hub.run([...veth, 'peer', 'name', 'eth0', 'netns', namespace.name]);
      hub.run(['ip', 'link', 'set', name, 'master', 'br0', 'up']);
      namespace.run(['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
      namespace.run(['ip', 'link', 'set', 'eth0', 'up']);
    }
  }

  /** The folder of a volume, on this machine. */
  volume(name: string): string {
    return join(this.folder, 'volumes', name);
  }

  /** Starts a service; or runs another command in its place. */
  start(name: string, command = this.services[name]!.command): ChildProcess {
    const script = join(this.folder, `${name}-${command[0]}.sh`);
    writeFileSync(script, this.script(name, command));
    const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];
    return this.namespaces.get(name)!.spawn([...unshare, 'sh', '-eu', script]);
  }

  /** Asks what was started to stop, and waits for its end. */
  async stop(container: ChildProcess): Promise<number | null> {
    const { pid } = container; // of unshare, which heeds no signals and waits for the only child it has
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    process.kill(Number(children), 'SIGTERM');
    return (await ended(container)).code;
  }

  /** Runs it to its end. */
  async run(name: string, command?: readonly string[]): Promise<Ran> {
    const child = this.start(name, command);
    let output = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const { code } = await ended(child);
    return { code, output };
  }

  private script(name: string, command: readonly string[]): string {
    const service = this.services[name]!;
    const root = join(this.folder, 'roots', name);
    mkdirSync(root, { recursive: true });
    const lines = [`mount --bind ${DEPLOY_CHECKERS.image} ${root}`];
    const beneath = (path: string) => {
      mkdirSync(join(DEPLOY_CHECKERS.image, path), { recursive: true }); // as an engine makes it
      return `${root}${path}`;
    };
    lines.push(`mount -t proc proc ${beneath('/proc')}`);
    lines.push(`mount -t tmpfs tmpfs ${beneath('/dev')}`);
    for (const { source } of service.devices ?? []) {
      lines.push(`mkdir -p $(dirname ${root}${source})`, `touch ${root}${source}`);
      lines.push(`mount --bind ${source} ${root}${source}`);
    }
    for (const { source, target, read_only } of service.volumes ?? []) {
      const folder = this.volumeFor(source, target);
      lines.push(`mount --bind ${folder} ${beneath(target)}`);
      if (read_only) lines.push(`mount -o remount,bind,ro ${root}${target}`);
    }
    lines.push(`mount -o remount,bind,ro ${root}`);
    const kept = ['sys_chroot', 'setuid', 'setgid', ...(service.cap_add ?? [])];
    const bounding = kept.map((one) => `+${one.toLowerCase()}`).join(',');
    const user = (service.user ?? this.config.User).replace('root', '0:0');
    const environment = this.config.Env.map((one) => `'${one}'`).join(' ');
    const words = [...this.config.Entrypoint, ...command].map((one) => `'${one}'`).join(' ');
    lines.push(
      `exec env -i ${environment} ${findExecutable('setpriv')} --no-new-privs --bounding-set=-all,${bounding} ` +
        `${findExecutable('chroot')} --userspec=${user} ${root} ${words.replace("'meshnet'", '/usr/local/bin/meshnet')}`,
    );
    return `${lines.join('\n')}\n`;
  }

  /** A new volume belongs to whom the folder in the image belongs. */
  private volumeFor(source: string, target: string): string {
    const folder = this.volume(source);
    const inImage = statSync(join(DEPLOY_CHECKERS.image, target), { throwIfNoEntry: false });
    if (statSync(folder, { throwIfNoEntry: false }) === undefined) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (inImage) chownSync(folder, inImage.uid, inImage.gid);
    }
    return folder;
  }
}
