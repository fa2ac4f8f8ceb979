import { readFileSync } from 'node:fs';

/** What Linux says of the processors, readable by anybody. */

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined; // this kernel, or this container, does not say
  }
}

const cpu = (index: number, file: string): string | undefined =>
  read(`/sys/devices/system/cpu/cpu${index}/${file}`);

/** Groups of processors that are threads of one core, of `count` processors; empty: none are, or nobody says. */
export function siblings(count: number): string[] {
  const groups = Array.from({ length: count }, (_, index) =>
    cpu(index, 'topology/thread_siblings_list'),
  );
  return [...new Set(groups)].filter(
    (group) => group !== undefined && /[,-]/.test(group),
  ) as string[];
}

/** Facts by name, those that the system gives. */
export function processorFacts(): Record<string, string> {
  const facts: Record<string, string | undefined> = {
    governor: cpu(0, 'cpufreq/scaling_governor'),
    'deepest sleep': [9, 8, 7, 6, 5, 4, 3, 2, 1]
      .map((state) => cpu(0, `cpuidle/state${state}/name`))
      .find((name) => name !== undefined),
    clock: read('/sys/devices/system/clocksource/clocksource0/current_clocksource'),
    'CPU quota': read('/sys/fs/cgroup/cpu.max'),
  };
  return Object.fromEntries(
    Object.entries(facts).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
}

/** Ticks of all processors together since boot. */
export interface ProcessorTicks {
  readonly busy: number;
  readonly idle: number;
  /** What the hypervisor gave to others while this machine had work. */
  readonly stolen: number;
}

/** From the first line of /proc/stat (proc_stat(5)). */
export function parseTicks(stat: string): ProcessorTicks {
  const fields = stat.split('\n')[0]!.trim().split(/\s+/).slice(1).map(Number);
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    fields;
  return { busy: user + nice + system + irq + softirq, idle: idle + iowait, stolen: steal };
}

export const processorTicks = (): ProcessorTicks => parseTicks(readFileSync('/proc/stat', 'utf8'));
