import { openDescriptors, residentMemory } from '../../test/lab/process-usage.ts';
import { quantile } from '../../test/lab/statistics.ts';
import { during, roundTrips, tcp, udp } from './traffic.ts';
import { cpuOf, type Path } from './tunnel.ts';

/** What one run of a measure found: metric -> value. */
export type Values = Readonly<Record<string, number>>;

export interface Measure {
  /** As `--only` knows it. */
  readonly name: string;
  /** Also between two different implementations. */
  readonly mixed: boolean;
  /** Over one tunnel at a time, as users have it: the others are not up. */
  readonly alone?: boolean;
  run(path: Path, seconds: number): Promise<Values>;
}

/** Runs `body`, which returns the bytes that arrived, and counts the CPU time of both ends. */
async function withCpu(
  path: Path,
  body: () => Promise<{ bytes: number; seconds: number }>,
): Promise<Values> {
  const before = cpuOf(path);
  const { bytes, seconds } = await body();
  const after = cpuOf(path);
  const gbps = (bytes * 8) / seconds / 1e9;
  if (path.processes.length === 0) return { gbps };
  const kilobytes = bytes / 1024;
  const user = ((after.user - before.user) * 1e6) / kilobytes;
  const system = ((after.system - before.system) * 1e6) / kilobytes;
  return { gbps, cpuUsPerKb: user + system, userUsPerKb: user, systemUsPerKb: system };
}

function tcpMeasure(name: string, streams: number, bothWays: boolean, mixed: boolean): Measure {
  return {
    name,
    mixed,
    run: (path, seconds) =>
      withCpu(path, () => tcp(path.left, path.right, seconds, { streams, bothWays })),
  };
}

function udpMeasure(name: string, size: number, perSecond: number): Measure {
  return {
    name,
    mixed: false,
    async run(path, seconds) {
      const { sentPerSecond, receivedPerSecond, loss } = await udp(path.left, path.right, seconds, {
        size,
        perSecond,
      });
      return { sentKpps: sentPerSecond / 1000, receivedKpps: receivedPerSecond / 1000, loss };
    },
  };
}

function distribution(times: readonly number[]): Values {
  const at = (share: number) => quantile(times, share) * 1000;
  return { p50Us: at(0.5), p99Us: at(0.99), p999Us: at(0.999) };
}

/** Payload of datagrams, bytes. The large ones make packets of 1400, which fit in one piece. */
const SMALL = 64;
const LARGE = 1400 - 28;
/** ms between pings. */
const PING_INTERVAL = 5;
/** A load that leaves the machine time to breathe, in packets of 1400 bytes: 280 Mbit/s. */
const MODERATE_LOAD = 25_000;

export const MEASURES: readonly Measure[] = [
  tcpMeasure('tcp1', 1, false, true),
  tcpMeasure('tcp8', 8, false, true),
  tcpMeasure('both-ways', 1, true, true),
  udpMeasure('udp64-10k', SMALL, 10_000),
  udpMeasure('udp64-30k', SMALL, 30_000),
  udpMeasure('udp64-60k', SMALL, 60_000),
  udpMeasure('udp64-flood', SMALL, 0),
  udpMeasure('udp1400-25k', LARGE, 25_000),
  udpMeasure('udp1400-50k', LARGE, 50_000),
  udpMeasure('udp1400-100k', LARGE, 100_000),
  udpMeasure('udp1400-flood', LARGE, 0),
  {
    name: 'rtt-idle',
    mixed: false,
    run: async ({ left, right }, seconds) => {
      const count = (seconds * 1000) / PING_INTERVAL;
      return distribution(await roundTrips(left, right, count, PING_INTERVAL));
    },
  },
  {
    name: 'rtt-alone',
    mixed: false,
    alone: true,
    run: async ({ left, right }, seconds) => {
      const count = (seconds * 1000) / PING_INTERVAL;
      return distribution(await roundTrips(left, right, count, PING_INTERVAL));
    },
  },
  {
    name: 'rtt-moderate',
    mixed: false,
    run: async ({ left, right }, seconds) => {
      const load = udp(left, right, seconds + 1, { size: LARGE, perSecond: MODERATE_LOAD });
      const count = (seconds * 1000) / PING_INTERVAL;
      const pings = () => roundTrips(left, right, count, PING_INTERVAL);
      return distribution(await during(load, pings));
    },
  },
  {
    name: 'rtt-full',
    mixed: false,
    run: async ({ left, right }, seconds) => {
      const load = tcp(left, right, seconds + 1, { streams: 1 });
      const count = (seconds * 1000) / PING_INTERVAL;
      const pings = () => roundTrips(left, right, count, PING_INTERVAL);
      return distribution(await during(load, pings));
    },
  },
];

/** Taken at the end of a round, after everything else: no traffic of its own. */
export function footprint(path: Path): Values {
  const memory = path.processes.map(residentMemory);
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    residentMb: sum(memory.map(({ now }) => now)) / memory.length,
    peakMb: sum(memory.map(({ peak }) => peak)) / memory.length,
    descriptors: sum(path.processes.map(openDescriptors)) / memory.length,
  };
}
