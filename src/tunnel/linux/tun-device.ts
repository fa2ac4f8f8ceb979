import type { Link } from '../../io/linux/link.ts';
import type { Tun } from '../../io/linux/tun.ts';
import type { DeviceState, IpDevice } from '../../io/ports.ts';

/** How often an interface in another namespace, whose events do not come here, is looked at (ms). */
const LOOK_INTERVAL = 1000;

/** A TUN device and what is known of its interface, wherever that is moved. */
export class TunDevice implements IpDevice {
  readonly tun: Tun;
  /** As it was looked at last. */
  state: DeviceState;
  private readonly link: Link;
  private readonly log: (message: string) => void;
  private lookedAt = 0;

  constructor(tun: Tun, link: Link, state: DeviceState, log: (message: string) => void) {
    this.tun = tun;
    this.link = link;
    this.state = state;
    this.log = log;
  }

  /** Looks at the interface again. False once it was deleted. */
  look(now: number): boolean {
    this.lookedAt = now;
    const before = this.link.blind;
    const state = this.link.refresh();
    if (state === undefined) return false;
    this.state = state;
    const { blind } = this.link;
    if (blind !== undefined && blind !== before) {
      this.log(
        `${state.name} was moved to a namespace that cannot be entered, and may be seen from outside only: ${blind}`,
      );
    }
    return true;
  }

  /** Whether it is time to look at an interface whose events do not come here. */
  isDue(now: number): boolean {
    return this.link.isElsewhere && now - this.lookedAt >= LOOK_INTERVAL;
  }

  /** Netlink socket on which events come. */
  get eventFd(): number {
    return this.link.eventFd;
  }

  /** See `Link.inNamespace`. */
  inNamespace<T>(body: () => T): T {
    return this.link.inNamespace(body);
  }

  close(): void {
    this.link.close();
    this.tun.close();
  }
}
