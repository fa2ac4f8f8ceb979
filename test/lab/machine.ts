import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

/** What a result was measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  /** 'kvm', 'none', ... as systemd-detect-virt says, where it is there. */
  readonly virtualization: string;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  readonly go: string;
  readonly iperf3: string;
}

/** First line that a command prints, or 'not there'. */
export function firstLine(command: string, ...args: string[]): string {
  try {
    const output = execFileSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return output.split('\n')[0]!.trim();
  } catch {
    return 'not there';
  }
}

function virtualization(): string {
  const detected = firstLine('systemd-detect-virt');
  if (detected !== 'not there') return detected;
  return /^flags.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))
    ? 'virtual machine'
    : 'none seen';
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model ?? 'unknown',
    cores: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    virtualization: virtualization(),
    kernel: release(),
    node: process.versions.node,
    v8: process.versions.v8,
    go: firstLine('go', 'version')
      .replace(/^go version go/, '')
      .replace(/ .*/, ''),
    iperf3: firstLine('iperf3', '--version').replace('iperf ', '').replace(/ .*/, ''),
  };
}

/** Load average of the last minute. */
export function loadNow(): number {
  return Number(loadavg()[0]!.toFixed(2));
}

/** Waits until the load average is below `limit`, at most `minutes`. True if it is. */
export async function waitUntilCalm(limit: number, minutes: number): Promise<boolean> {
  const end = performance.now() + minutes * 60_000;
  while (loadNow() >= limit) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  return true;
}
