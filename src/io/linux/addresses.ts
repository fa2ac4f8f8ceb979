import type { Prefix } from '../../wire/prefix.ts';
import { AF_INET, AF_INET6 } from './constants.ts';
import { interfaceIndex } from './interface.ts';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, request } from './rtnetlink.ts';

const RTM_NEWADDR = 20;
/** struct ifaddrmsg { u8 family; u8 prefix length; u8 flags; u8 scope; u32 index } */
const IFADDRMSG = { family: 0, prefixLength: 1, index: 4, length: 8 } as const;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/**
 * Gives an address with its prefix length to an interface in the calling thread's namespace.
 * One that is there already is no error.
 */
export function addAddress(interfaceName: string, { address, length }: Prefix): void {
  const body = new Uint8Array(IFADDRMSG.length);
  body[IFADDRMSG.family] = address.length === 4 ? AF_INET : AF_INET6;
  body[IFADDRMSG.prefixLength] = length;
  new DataView(body.buffer).setUint32(IFADDRMSG.index, interfaceIndex(interfaceName), true);
  const attributes = [IFA_LOCAL, IFA_ADDRESS].map((type) => ({ type, value: address }));
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  request('RTM_NEWADDR', RTM_NEWADDR, flags, { body, attributes }, 0, {
    EPERM: 'needs CAP_NET_ADMIN',
    EACCES: 'IPv6 is switched off on this interface',
    EOPNOTSUPP: 'this system has no such address family',
  });
}
