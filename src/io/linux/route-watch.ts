import type { Endpoint } from '../../wire/endpoint.ts';
import {
  AF_INET,
  AF_INET6,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV4_ROUTE,
  RTMGRP_IPV4_RULE,
  RTMGRP_IPV6_IFADDR,
  RTMGRP_IPV6_ROUTE,
  RTMGRP_LINK,
} from './constants.ts';
import { SystemCallError } from './errno.ts';
import { openEvents, request, u32Value } from './rtnetlink.ts';
import { syscalls } from './syscalls.ts';

const RTM_GETROUTE = 26;
/** struct rtmsg { u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags } */
const RTMSG = { family: 0, destinationLength: 1, sourceLength: 2, length: 12 } as const;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_MARK = 16;

const GROUPS =
  RTMGRP_LINK |
  RTMGRP_IPV4_IFADDR |
  RTMGRP_IPV4_ROUTE |
  RTMGRP_IPV4_RULE |
  RTMGRP_IPV6_IFADDR |
  RTMGRP_IPV6_ROUTE;

/** Tells that routes have changed, in the namespace in which it was made, and which hold now. */
export class RouteWatch {
  /** Netlink socket to wait on for POLLIN: routes, rules or addresses have changed. */
  readonly eventFd = openEvents(GROUPS);

  /**
   * Whether what is sent to the endpoint from its source address, with firewall mark `mark`, no longer
   * leaves by the interface on which the peer reached that address. Then the address belongs to a way
   * that is not taken any more, and routers on the present one may drop what comes from it.
   */
  hasLeftSource({ address, source, sourceInterface }: Endpoint, mark: number): boolean {
    if (source === undefined || !sourceInterface) return false;
    const body = new Uint8Array(RTMSG.length);
    body[RTMSG.family] = address.length === 4 ? AF_INET : AF_INET6;
    body[RTMSG.destinationLength] = address.length * 8;
    body[RTMSG.sourceLength] = source.length * 8;
    const attributes = [
      { type: RTA_DST, value: address },
      { type: RTA_SRC, value: source },
      ...(mark === 0 ? [] : [{ type: RTA_MARK, value: u32Value(mark) }]),
    ];
    try {
      const message = { body, attributes };
      const route = request('RTM_GETROUTE', RTM_GETROUTE, 0, message, RTMSG.length);
      const out = route.attributes.find(({ type }) => type === RTA_OIF)?.value;
      return out === undefined || new DataView(out.buffer).getInt32(0, true) !== sourceInterface;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return true; // no route from there
    }
  }

  close(): void {
    syscalls().close(this.eventFd);
  }
}
