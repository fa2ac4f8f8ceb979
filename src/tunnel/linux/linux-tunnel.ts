import { monotonicNow } from '../../ground/clock.ts';
import type { LinuxUdpPort } from '../../io/linux/udp-port.ts';
import { DrivenTunnel } from '../driver.ts';
import { offloadNames } from './offloads.ts';
import type { TunDevice } from './tun-device.ts';
import { WorkerEngine, type WorkerEngineOptions } from './worker-engine.ts';

/** What moves the packets, for status and logs. */
export interface DataPathDescription {
  readonly aead: string;
  readonly kernel: string;
  /** Offloads in use: 'tun-tcp', 'tun-udp', 'udp-segment', 'udp-gro'. */
  readonly offloads: readonly string[];
  /** Outbound workers, and inbound workers. */
  readonly workerPairs: number;
}

/** A running tunnel on Linux. Made by `openLinuxTunnel`. It closes the device and the port at its end. */
export class LinuxTunnel extends DrivenTunnel {
  readonly mode = 'linux';
  private readonly workers: WorkerEngine;
  private readonly tunDevice: TunDevice;
  private readonly udpPort: LinuxUdpPort;
  private readonly udpSegmentation: boolean;

  constructor(options: WorkerEngineOptions, device: TunDevice, port: LinuxUdpPort) {
    const workers = new WorkerEngine(options, device, port, {
      needsPoll: () => this.schedulePoll(),
      linkEvent: () => this.lookAtInterface(),
      linkGone: () => void this.end(undefined),
      crashed: (error) => void this.end(error),
    });
    super(workers, device, port);
    this.workers = workers;
    this.tunDevice = device;
    this.udpPort = port;
    this.udpSegmentation = options.udpSegmentation ?? true;
  }

  /** Starts the data workers. */
  async start(): Promise<void> {
    await this.workers.start();
    this.lookAtInterface(); // what happened before somebody watched
    this.schedulePoll();
  }

  get mtu(): number {
    return this.tunDevice.state.mtu;
  }

  get isUp(): boolean {
    return this.tunDevice.state.up;
  }

  describe(): DataPathDescription {
    const { aead, kernel, refused } = this.workers;
    const { offloads, fds } = this.tunDevice.tun;
    return {
      aead,
      kernel,
      offloads: offloadNames({
        tunTcp: offloads.tcp && !refused.has('coalescing'),
        tunUdp: offloads.udp && !refused.has('coalescing'),
        udpSegmentation: this.udpSegmentation && !refused.has('UDP_SEGMENT'),
        udpGro: this.udpPort.socket.gro,
      }),
      workerPairs: fds.length,
    };
  }

  /**
   * Runs `body`, which must be synchronous, in the interface's network namespace: sockets that it
   * opens belong there. Throws a SystemCallError where that namespace cannot be entered.
   */
  inNamespace<T>(body: () => T): T {
    this.mustBeOpen();
    return this.tunDevice.inNamespace(body);
  }

  protected override beforePoll(now: number): void {
    if (this.tunDevice.isDue(now)) this.lookAtInterface();
  }

  private lookAtInterface(): void {
    const now = monotonicNow();
    if (!this.tunDevice.look(now)) {
      void this.end(undefined);
      return;
    }
    this.workers.deviceChanged(this.tunDevice.state, now);
  }
}
