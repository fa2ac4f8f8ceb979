import { expect, test } from 'vitest';
import { parseArguments, UsageError } from '../../src/cli/meshtun-arguments.ts';

const run = {
  interfaceName: 'wg0',
  foreground: false,
  logLevel: 'error',
  logFile: undefined,
  tunDescriptor: undefined,
  uapiDescriptor: undefined,
  workerPairs: undefined,
  offloads: undefined,
};

test('takes an interface name and goes to the background', () => {
  expect(parseArguments(['wg0'], {})).toEqual({ action: 'run', run });
});

test('stays in front when asked by option or environment', () => {
  const inFront = { action: 'run', run: { ...run, foreground: true } };
  expect(parseArguments(['-f', 'wg0'], {})).toEqual(inFront);
  expect(parseArguments(['wg0', '--foreground'], {})).toEqual(inFront);
  expect(parseArguments(['wg0'], { WG_PROCESS_FOREGROUND: '1' })).toEqual(inFront);
  expect(parseArguments(['wg0'], { WG_PROCESS_FOREGROUND: 'true' })).toEqual({
    action: 'run',
    run,
  });
});

test('knows the log levels of the official implementation', () => {
  const level = (LOG_LEVEL: string) => {
    const parsed = parseArguments(['wg0'], { LOG_LEVEL });
    return parsed.action === 'run' ? parsed.run.logLevel : undefined;
  };
  expect(['verbose', 'debug', 'error', 'silent', 'nonsense', ''].map(level)).toEqual([
    'verbose',
    'verbose',
    'error',
    'silent',
    'error',
    'error',
  ]);
});

test('takes descriptors and a log file', () => {
  const environment = { WG_TUN_FD: '7', WG_UAPI_FD: '9' };
  expect(parseArguments(['--log-file=/var/log/x', 'wg0'], environment)).toEqual({
    action: 'run',
    run: { ...run, logFile: '/var/log/x', tunDescriptor: 7, uapiDescriptor: 9 },
  });
});

test('takes a number of worker pairs from the option or else the environment', () => {
  const pairs = (argv: string[], MESHTUN_WORKER_PAIRS?: string) => {
    const parsed = parseArguments([...argv, 'wg0'], { MESHTUN_WORKER_PAIRS });
    return parsed.action === 'run' ? parsed.run.workerPairs : undefined;
  };
  expect(pairs(['--worker-pairs', '3'])).toBe(3);
  expect(pairs([], '8')).toBe(8);
  expect(pairs(['--worker-pairs=1'], '8')).toBe(1);
  expect(pairs([], '')).toBeUndefined();
  for (const wrong of ['0', '9', '-1', '1.5', 'two', ' 2', '0x2', '']) {
    const message = `--worker-pairs is a number from 1 to 8, not ${JSON.stringify(wrong)}`;
    expect(() => pairs([`--worker-pairs=${wrong}`])).toThrow(new UsageError(message));
  }
  expect(() => pairs([], 'many')).toThrow(
    new UsageError('MESHTUN_WORKER_PAIRS is a number from 1 to 8, not "many"'),
  );
});

test('takes a list of offloads', () => {
  const offloads = (list: string) => {
    const parsed = parseArguments(['--offloads', list, 'wg0'], {});
    return parsed.action === 'run' ? parsed.run.offloads : undefined;
  };
  const none = { tunTcp: false, tunUdp: false, udpSegmentation: false, udpGro: false };
  expect(offloads('none')).toEqual(none);
  expect(offloads('udp-gro,tun-tcp')).toEqual({ ...none, tunTcp: true, udpGro: true });
  expect(offloads('all')).toEqual(offloads('tun-tcp,tun-udp,udp-segment,udp-gro'));
  for (const wrong of ['', 'gro', 'tun-tcp,', 'all,none', 'TUN-TCP']) {
    expect(() => offloads(wrong)).toThrow(
      new UsageError(
        `--offloads is ${JSON.stringify(wrong)}; expected all, none or some of tun-tcp,tun-udp,udp-segment,udp-gro`,
      ),
    );
  }
});

test('help and version need nothing else', () => {
  expect(parseArguments(['--help'], {})).toEqual({ action: 'help' });
  expect(parseArguments(['-h'], {})).toEqual({ action: 'help' });
  expect(parseArguments(['--version'], {})).toEqual({ action: 'version' });
});

test.each([
  [[]],
  [['wg0', 'wg1']],
  [['--nonsense', 'wg0']],
  [['a/b']],
  [['a b']],
  [['..']],
  [['a:b']],
  [['sixteen-bytes-xx']],
  [['']],
])('refuses %j', (argv) => {
  expect(() => parseArguments(argv, {})).toThrow(UsageError);
});

test('refuses a descriptor that is no number', () => {
  expect(() => parseArguments(['wg0'], { WG_TUN_FD: 'x' })).toThrow('WG_TUN_FD');
});
