import { IFF_UP } from './constants.ts';
import { NLM_F_ACK, type RouteMessage, request, u32Value } from './rtnetlink.ts';

/**
 * The state of an interface in another network namespace, without entering that namespace: asked
 * for from here with the id this namespace has for the other one. Needs CAP_NET_ADMIN over both,
 * but no CAP_SYS_ADMIN; link events of the other namespace cannot be had this way.
 */

const RTM_GETLINK = 18;
const RTM_NEWNSID = 88;
const RTM_GETNSID = 90;
/** struct rtgenmsg { u8 family } */
const RTGENMSG = new Uint8Array(1);
const NETNSA_NSID = 1;
const NETNSA_FD = 3;
const NOT_ASSIGNED = -1;
/** struct ifinfomsg { u8 family; u8 pad; u16 type; i32 index; u32 flags; u32 change } */
const IFINFOMSG = { flags: 8, length: 16 } as const;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_TARGET_NETNSID = 46;

/** `namespace`: a descriptor of it. Throws a SystemCallError if there is no such interface. */
export function foreignLink(namespace: number, name: string): { mtu: number; up: boolean } {
  const answer = request(
    'RTM_GETLINK',
    RTM_GETLINK,
    0,
    {
      body: new Uint8Array(IFINFOMSG.length),
      attributes: [
        { type: IFLA_TARGET_NETNSID, value: u32Value(namespaceId(namespace)) },
        { type: IFLA_IFNAME, value: new TextEncoder().encode(`${name}\0`) },
      ],
    },
    IFINFOMSG.length,
  );
  const flags = new DataView(answer.body.buffer).getUint32(IFINFOMSG.flags, true);
  return { mtu: integerOf(answer, IFLA_MTU), up: (flags & IFF_UP) !== 0 };
}

function namespaceId(namespace: number): number {
  const fd = { type: NETNSA_FD, value: u32Value(namespace) };
  const ask = () =>
    integerOf(
      request('RTM_GETNSID', RTM_GETNSID, 0, { body: RTGENMSG, attributes: [fd] }, RTGENMSG.length),
      NETNSA_NSID,
    );
  const known = ask();
  if (known !== NOT_ASSIGNED) return known;
  const any = { type: NETNSA_NSID, value: u32Value(NOT_ASSIGNED) };
  const message = { body: RTGENMSG, attributes: [fd, any] };
  request('RTM_NEWNSID', RTM_NEWNSID, NLM_F_ACK, message, 0);
  return ask();
}

function integerOf({ attributes }: RouteMessage, type: number): number {
  const value = attributes.find((attribute) => attribute.type === type)?.value;
  if (value === undefined || value.length < 4) throw new Error(`rtnetlink: no attribute ${type}`);
  return new DataView(value.buffer).getInt32(0, true);
}
