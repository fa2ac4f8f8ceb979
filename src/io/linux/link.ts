import { fstatSync, statSync } from 'node:fs';
import type { DeviceState } from '../ports.ts';
import { RTMGRP_LINK } from './constants.ts';
import { ERRNO, SystemCallError } from './errno.ts';
import { foreignLink } from './foreign-link.ts';
import { interfaceState, setInterfaceMtu, setInterfaceUp } from './interface.ts';
import { inNamespace } from './namespace.ts';
import { openEvents } from './rtnetlink.ts';
import { syscalls } from './syscalls.ts';
import type { Tun } from './tun.ts';

/**
 * Follows the interface of a TUN device: its name, MTU and up/down, wherever it is moved.
 *
 * Link events arrive on a netlink socket. They are only a hint to look again: each time, `refresh`
 * asks the TUN device which namespace its interface is in now, and looks there in one synchronous
 * step on the calling thread (setns there and back). Nothing stays open in a namespace that is not
 * the process's own: it would keep that namespace, with all interfaces in it, alive after its deletion.
 */
export class Link {
  /** Netlink socket to wait on for POLLIN: something has changed in the process's own namespace. */
  readonly eventFd = openEvents(RTMGRP_LINK);
  /** It is in another namespace, whose events do not come here: call `refresh` from time to time. */
  isElsewhere = false;
  /** Why that namespace cannot be entered, if so. */
  blind: string | undefined;
  private readonly tun: Tun;
  private last: DeviceState | undefined;
  private open = true;

  constructor(tun: Tun) {
    this.tun = tun;
  }

  /** The interface's state now, or undefined once it was deleted. */
  refresh(): DeviceState | undefined {
    // The interface may be moved or renamed between finding it and looking at it: look again.
    for (let attempt = 0; attempt < 3; attempt++) {
      const name = this.tun.name();
      if (name === undefined) return undefined;
      const state = this.look(name);
      if (state === undefined) continue;
      this.last = state;
      return state;
    }
    return this.tun.name() === undefined ? undefined : this.last;
  }

  /** Undefined if there is no such interface where it was a moment ago. */
  private look(name: string): DeviceState | undefined {
    return this.withNamespace((namespace) => {
      this.isElsewhere = namespace !== undefined;
      this.blind = undefined;
      if (namespace === undefined) return stateOf(name);
      try {
        const state = inNamespace(namespace, () => stateOf(name));
        return state && { ...state, index: 0 }; // it means nothing here
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        this.blind = error.message;
        return lookFromHere(namespace, name) ?? this.last;
      }
    });
  }

  /**
   * Runs `body` in the interface's network namespace: sockets that it opens belong there for good.
   * `body` must be synchronous. Throws a SystemCallError where that namespace cannot be entered.
   */
  inNamespace<T>(body: () => T): T {
    return this.withNamespace((namespace) =>
      namespace === undefined ? body() : inNamespace(namespace, body),
    );
  }

  /** Sets the MTU (bytes of the inner packet). */
  setMtu(mtu: number): void {
    this.inNamespace(() => setInterfaceMtu(this.name(), mtu));
  }

  setUp(up: boolean): void {
    this.inNamespace(() => setInterfaceUp(this.name(), up));
  }

  private name(): string {
    const name = this.tun.name();
    if (name === undefined) throw new SystemCallError('TUNGETIFF', ERRNO.ENODEV);
    return name;
  }

  /** `body` gets a descriptor of the interface's namespace, or undefined if that is the process's own. */
  private withNamespace<T>(body: (namespace: number | undefined) => T): T {
    const descriptor = this.tun.namespace();
    // Linux before 5.5, or no CAP_NET_ADMIN over the namespace: assume it never moved.
    if (descriptor < 0) return body(undefined);
    try {
      const isHere = fstatSync(descriptor, { bigint: true }).ino === ownNamespace();
      return body(isHere ? undefined : descriptor);
    } finally {
      syscalls().close(descriptor);
    }
  }

  close(): void {
    if (this.open) syscalls().close(this.eventFd);
    this.open = false;
  }
}

function stateOf(name: string): DeviceState | undefined {
  try {
    return interfaceState(name);
  } catch (error) {
    if (error instanceof SystemCallError && error.errno === ERRNO.ENODEV) return undefined;
    throw error;
  }
}

/** Undefined without CAP_NET_ADMIN over there, too. */
function lookFromHere(namespace: number, name: string): DeviceState | undefined {
  try {
    return { name, index: 0, ...foreignLink(namespace, name) };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return undefined;
  }
}

function ownNamespace(): bigint {
  return statSync('/proc/thread-self/ns/net', { bigint: true }).ino;
}
