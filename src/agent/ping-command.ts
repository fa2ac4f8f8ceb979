import { execFile } from 'node:child_process';
import type { Ping } from './probe.ts';

/**
 * ICMP echo by the system's own `ping`: the packet takes the kernel's route into the TUN like
 * anybody's, so what it shows is what an application would see. `source` picks the tunnel address.
 */
export function pingCommand(source: string): Ping {
  return (address, timeoutMs) =>
    new Promise((resolve, reject) => {
      const seconds = (Math.max(100, timeoutMs) / 1000).toFixed(1);
      const parameters = ['-n', '-q', '-c', '1', '-W', seconds, '-I', source, address];
      const options = { timeout: timeoutMs + 1000, env: { ...process.env, LC_ALL: 'C' } };
      execFile('ping', parameters, options, (error, stdout) => {
        const rtt = /= ([\d.]+)\//.exec(stdout)?.[1]; // rtt min/avg/max/mdev = 0.045/...
        if (rtt !== undefined) resolve(Number(rtt));
        else if (error?.code === 'ENOENT') reject(new Error('there is no ping command'));
        else resolve(undefined);
      });
    });
}
