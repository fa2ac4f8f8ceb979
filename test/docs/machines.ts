import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { defaultProvider } from '../../src/crypto/select.ts';
import { official } from '../interop/implementations.ts';
import { ended, type Lab, type Namespace, until } from '../lab/netns.ts';
import { type Block, commandsOf, ROOT } from './pages.ts';

/** Machines on one network. `here`, which every page may speak of, is the checkout. */
export interface Plan {
  readonly addresses: Readonly<Record<string, string>>;
  /** Folders of which each machine has its own. */
  readonly own: readonly string[];
  /** What else is mounted there: `[from, to]`. */
  readonly mounts?: readonly (readonly [string, string])[];
  /** Where commands are looked for. */
  readonly path: string;
  /** Puts into the folder, in which those folders lie, what a machine has before anything was done there. */
  readonly furnish: (folder: string, machine: string) => void;
}

/** Seed of an evaluator that the policy lists. */
const EVALUATOR = new Uint8Array(32).fill(7);

/** What a harness really wrote. */
const ofHarness = (name: string) => readFileSync(join(ROOT, 'test/agent/harness/files', name));

/** What a reader of the pages has in the working directory, or installed. */
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  'work/my-benchmark': '#!/bin/sh\necho 0.9\n',
  'work/evaluate.py': 'print(0.87)\n',
  'work/evaluator.key': `${EVALUATOR.toBase64()}\n`,
  'work/policy.json': JSON.stringify({
    suites: [
      { suite: 'alignment', min_samples: 50, signers: 'node' },
      { suite: 'red-team', signers: 'evaluators' },
    ],
    evaluators: [defaultProvider().ed25519Public(EVALUATOR).toBase64()],
  }),
  'work/harnesses.json': JSON.stringify({
    version: 2,
    suites: [
      { suite: 'alignment', threshold: 0.6, min_samples: 20 },
      { suite: 'knowledge', threshold: 0.6, min_samples: 50 },
      { suite: 'probes', threshold: 0.8, min_samples: 500 },
      { suite: 'prompts', threshold: 0.6, min_samples: 5 },
    ].map((one) => ({ ...one, signers: 'evaluators', max_age_s: 2_592_000 })),
    evaluators: [defaultProvider().ed25519Public(EVALUATOR).toBase64()],
  }),
  'work/logs/inspect.eval': ofHarness('inspect.eval'),
  'work/results/results_2026-11-27T14-31-48.json': ofHarness('lm-eval.json'),
  'work/run.report.jsonl': ofHarness('garak.report.jsonl'),
  'work/out.json': ofHarness('promptfoo.json'),
  'etc/wireguard/wg0.conf': `[Interface]
PrivateKey = iJ+AZb1bVkLqQjLZnf1dtIvFZUBVvcYtEhcfIxTa4lI=
ListenPort = 51820

[Peer]
PublicKey = DsJZpZ1HmMwnPpO8qAPOCyYFGLMyZZB1Tc0SO6zI03E=
AllowedIPs = 10.0.0.2/32
`,
};

/** The machines of most pages. The program is on their path, as `npm link` puts it there. */
export const pagesPlan = (): Plan => ({
  addresses: {
    controller: '192.0.2.1/24',
    'node-a': '192.0.2.11/24',
    'node-b': '192.0.2.12/24',
  },
  own: ['/var/lib', '/etc/wireguard', '/run/wireguard'], // those that programs write to by default
  path: [
    join(ROOT, 'bin'),
    dirname(official.command()), // wireguard-go
    process.env.PATH,
  ].join(delimiter),
  furnish(folder) {
    for (const [name, text] of Object.entries(FILES)) {
      const file = join(folder, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      chmodSync(file, name.endsWith('.key') ? 0o600 : 0o755); // scores are measured by a user who is not root
    }
  },
});

const START_TIMEOUT = 60_000;

interface Running {
  readonly machine: string;
  readonly child: ChildProcess;
  readonly output: () => string;
}

/** Runs the commands of pages on the machines that they name, one block after the other. */
export class Machines {
  private readonly lab: Lab;
  private readonly plan: Plan;
  private readonly folder = mkdtempSync(join(tmpdir(), 'docs-machines-'));
  private readonly namespaces = new Map<string, Namespace>();
  private readonly running: Running[] = [];
  /** All that blocks have printed: later ones refer to it. */
  private printed = '';

  constructor(lab: Lab, plan: Plan) {
    this.lab = lab;
    this.plan = plan;
    const network = lab.namespace('lan');
    network.run(['ip', 'link', 'add', 'br0', 'up', 'type', 'bridge']);
    for (const [machine, address] of Object.entries(plan.addresses)) {
      const namespace = lab.namespace(machine);
      const [port] = lab.veth(network, namespace, { right: [address] });
      network.run(['ip', 'link', 'set', port, 'master', 'br0']);
      this.namespaces.set(machine, namespace);
    }
  }

  /** The machines as they are before anything was done there. */
  furnish(): void {
    this.printed = '';
    rmSync(this.folder, { recursive: true });
    for (const machine of this.namespaces.keys()) {
      for (const own of this.plan.own) {
        mkdirSync(join(this.folder, machine, own), { recursive: true });
        mkdirSync(own, { recursive: true }); // to mount the machine's own upon
      }
      this.plan.furnish(join(this.folder, machine), machine);
    }
  }

  /** Where a machine's own folders and its working directory `work` lie. */
  folderOf(machine: string): string {
    return join(this.folder, machine);
  }

  namespaceOf(machine: string): Namespace {
    return this.namespaces.get(machine)!;
  }

  /** The machines that a block is for. */
  machinesOf(block: Block): readonly string[] {
    const on = block.words.get('on')!;
    const all = [...this.namespaces.keys()];
    const nodes = all.filter((machine) => machine.startsWith('node-'));
    if (on === 'every') return all;
    return on === 'nodes' ? nodes : on.split(',');
  }

  /** What it printed; rejects with that if it fails. */
  async run(block: Block): Promise<string> {
    let printed = '';
    for (const machine of this.machinesOf(block)) printed += await this.runOn(machine, block);
    return printed;
  }

  private async runOn(machine: string, block: Block): Promise<string> {
    const awaited = block.words.get('until');
    if (block.words.has('instead')) await this.stop(machine);
    const running = this.start(machine, block);
    if (awaited === undefined) {
      const { code, signal } = await ended(running.child);
      if ((code === 0) === block.words.has('fails')) {
        throw new Error(`exit ${code ?? signal}:\n${running.output()}`);
      }
    } else {
      this.running.push(running);
      await until(
        () => {
          const { exitCode } = running.child;
          if (running.output().includes(awaited)) return true;
          if (exitCode !== null) throw new Error(`exit ${exitCode}:\n${running.output()}`);
          return false;
        },
        `${JSON.stringify(awaited)} in the output of ${block.place}`,
        START_TIMEOUT,
      ).catch((error: Error) => {
        throw new Error(`${error.message}\n${running.output()}`);
      });
    }
    this.printed += running.output();
    return running.output();
  }

  private start(machine: string, block: Block): Running {
    const text = this.filled(commandsOf(block));
    const command = this.command(machine, text, block.words.get('as'));
    const child = this.lab.spawn(command, {
      detached: true, // a group of its own, so that all of it can be ended
      cwd: machine === 'here' ? ROOT : join(this.folder, machine, 'work'),
      env: {
        ...process.env,
        PATH: this.plan.path,
        XDG_CONFIG_HOME: join(this.folder, machine, 'config'),
      },
    });
    let output = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    return { machine, child, output: () => output };
  }

  private command(machine: string, text: string, user?: string): string[] {
    const shell = ['bash', '--norc', '-euo', 'pipefail', '-c', text];
    const namespace = this.namespaces.get(machine);
    if (namespace === undefined) return shell;
    // `ip netns exec` gives each command mounts of its own, which nobody else sees.
    const own = this.plan.own.map((path) => [`${this.folderOf(machine)}${path}`, path] as const);
    const mounts = [...own, ...(this.plan.mounts ?? [])].map(
      ([from, to]) => `mount --bind '${from}' ${to}`,
    );
    const script = `${mounts.join(' && ')} && exec "$@"`;
    const as = user === undefined ? [] : ['runuser', '-u', user, '--', 'env', `HOME=/home/${user}`];
    return ['ip', 'netns', 'exec', namespace.name, 'sh', '-c', script, 'sh', ...as, ...shell];
  }

  /** What a page can only hint at, as an earlier block printed it. */
  private filled(text: string): string {
    return text
      .replace(/MESHNET_TOKEN=\.\.\. (meshnet node --name \S+)/g, (hint, rest: string) => {
        const at = this.printed.lastIndexOf(` ${rest} `);
        const token = /MESHNET_TOKEN=\S+$/.exec(this.printed.slice(0, Math.max(0, at)))?.[0];
        return token === undefined ? hint : `${token} ${rest}`;
      })
      .replaceAll('MESHNET_ACCESS_TOKEN=...', (hint) => {
        const token = /^access\.[\w.-]+$/m.exec(this.printed)?.[0];
        return token === undefined ? hint : `MESHNET_ACCESS_TOKEN=${token}`;
      })
      .replaceAll('MESH_ID', () => /"mesh_id":"([^"]+)"/.exec(this.printed)?.[1] ?? 'MESH_ID')
      .replace(/(meshnet-|meshnet-demo-)PID/g, (hint, name: string) => {
        const pid = /meshnet-(\d+)-node-a/.exec(this.printed)?.[1];
        return pid === undefined ? hint : `${name}${pid}`;
      });
  }

  /** Ends what goes on in the background, there or everywhere, the newest first. */
  async stop(where?: string): Promise<void> {
    const ending = this.running.filter(({ machine }) => where === undefined || machine === where);
    for (const one of ending.reverse()) {
      const { exitCode, signalCode, pid } = one.child;
      if (exitCode === null && signalCode === null) process.kill(-pid!, 'SIGTERM');
      await ended(one.child);
      this.running.splice(this.running.indexOf(one), 1);
    }
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }
}
