import type { DeviceChange, DeviceStatus } from '../device/config.ts';
import { monotonicNow } from '../ground/clock.ts';
import { SuspendDetector } from '../ground/suspend.ts';
import type { DatagramPort, IpDevice, PreparedChange } from '../io/ports.ts';
import type { Engine } from './engine.ts';
import { explain } from './explain.ts';
import { type Tunnel, TunnelError } from './tunnel.ts';

/** The longest a timer sleeps (ms), so that a suspend is noticed soon after the resume. */
const MAX_SLEEP = 1000;

/**
 * A tunnel: an engine between an IP device and a datagram port. This is the clockwork that all
 * tunnels have in common: changes that apply whole or not at all, timers, suspend, status, the end.
 */
export abstract class DrivenTunnel implements Tunnel {
  abstract readonly mode: Tunnel['mode'];
  readonly closed: Promise<Error | undefined>;

  private readonly engine: Engine;
  private readonly device: IpDevice;
  private readonly port: DatagramPort;
  private readonly suspend = new SuspendDetector();
  private settleClosed: (error: Error | undefined) => void = () => {};
  private timer: NodeJS.Timeout | undefined;
  private pollPending = false;
  /** The change to the socket that is being made ready. */
  private preparing: Promise<unknown> | undefined;
  private ending: Promise<void> | undefined;

  constructor(engine: Engine, device: IpDevice, port: DatagramPort) {
    this.engine = engine;
    this.device = device;
    this.port = port;
    this.closed = new Promise((resolve) => {
      this.settleClosed = resolve;
    });
    engine.portChanged(port);
    engine.deviceChanged(device.state, monotonicNow());
  }

  get name(): string {
    return this.device.state.name;
  }

  async configure(change: DeviceChange): Promise<void> {
    this.mustBeOpen();
    while (this.preparing !== undefined) await this.preparing; // changes apply in their order
    let prepared: PreparedChange | undefined;
    const done = Promise.withResolvers<void>();
    try {
      // The device checks the change and applies it at once, so what else can fail comes first. A
      // change that does not touch the socket is in work before this call returns.
      const preparing = this.port.prepare(change);
      prepared = preparing instanceof Promise ? await this.inTurn(preparing) : preparing;
      this.mustBeOpen(); // it may have been closed meanwhile
      this.engine.configure(change, monotonicNow(), done.resolve);
    } catch (error) {
      await prepared?.cancel();
      throw explain(error);
    }
    const moved = prepared?.commit();
    if (prepared !== undefined) this.engine.portChanged(this.port);
    this.schedulePoll();
    await Promise.all([moved, done.promise]);
    await this.engine.settled(); // allowed-ips are in force, and nobody waits on the old port
  }

  extendLease(until: number): void {
    this.mustBeOpen();
    this.engine.extendLease(until, monotonicNow());
    this.schedulePoll();
  }

  status(): DeviceStatus {
    const { engine, port } = this;
    const { privateKey, publicKey, handshakesDatedUntil } = engine.device;
    const drops = engine.drops();
    if (port.sendFailures > 0) {
      drops.udpSendFailed = (drops.udpSendFailed ?? 0) + port.sendFailures;
    }
    return {
      privateKey,
      publicKey,
      listenPort: port.port,
      fwmark: port.fwmark,
      peers: engine.device.peerStatus(),
      handshakesDatedUntil,
      drops,
    };
  }

  async expireKeypairs(before: number): Promise<void> {
    this.mustBeOpen();
    const done = Promise.withResolvers<void>();
    this.engine.expireKeypairs(before, monotonicNow(), done.resolve);
    this.schedulePoll();
    await done.promise;
  }

  async close(): Promise<void> {
    await this.end(undefined);
  }

  protected get isOpen(): boolean {
    return this.ending === undefined;
  }

  protected mustBeOpen(): void {
    if (!this.isOpen) throw new TunnelError('closed', `tunnel ${this.name} is closed`);
  }

  /** Stops the data path and wipes its keys, then gives everything back. */
  protected end(error: Error | undefined): Promise<void> {
    this.ending ??= (async () => {
      clearTimeout(this.timer);
      await this.engine.close(monotonicNow());
      await this.port.close();
      this.device.close();
      this.settleClosed(error);
    })();
    return this.ending;
  }

  /** Lets the device act soon: after what is already waiting in the event loop. */
  protected schedulePoll(): void {
    if (this.pollPending || !this.isOpen) return;
    this.pollPending = true;
    setImmediate(() => {
      this.pollPending = false;
      this.poll();
    });
  }

  /** What else is to be done at each turn of the clockwork. */
  protected beforePoll(_now: number): void {}

  private poll(): void {
    if (!this.isOpen) return;
    const now = monotonicNow();
    if (this.suspend.hasSlept()) this.engine.expireAllSessions(now);
    this.beforePoll(now);
    this.engine.poll(now);
    clearTimeout(this.timer);
    const next = this.engine.nextPoll(now) - monotonicNow();
    if (next <= 0) this.schedulePoll();
    else this.timer = setTimeout(() => this.poll(), Math.min(Math.ceil(next), MAX_SLEEP));
  }

  private async inTurn<T>(preparing: Promise<T>): Promise<T> {
    this.preparing = preparing.catch(() => {});
    try {
      return await preparing;
    } finally {
      this.preparing = undefined;
    }
  }
}
