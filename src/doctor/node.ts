import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentClock } from '../agent/clock.ts';
import type { Fetch } from '../agent/http-calls.ts';
import { readKnownController } from '../agent/known-controller.ts';
import { readNodeKeys } from '../agent/node-keys.ts';
import { type Enrolment, type NodeState, openNodeState } from '../agent/node-state.ts';
import type { PingAnswer } from '../agent/socket/ping-node.ts';
import type { NodeStatusDocument } from '../agent/status.ts';
import { fromBase64 } from '../contract/encoding.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { authorityOf, reachOf, tlsOf } from './controller-reach.ts';
import { type Finding, look, ok, problem, warning } from './finding.ts';
import { diskOf, interfaceWith, overlapOf, stateRights } from './machine.ts';
import { endpointsOf, mtuFindings, udpOf } from './paths.ts';

export interface NodeDoctorOptions {
  readonly state: string;
  /** Instead of the controller that the node knows. */
  readonly controllerUrl?: string | undefined;
  /** Of the running node; undefined: none runs, or it cannot be asked. */
  readonly status: NodeStatusDocument | undefined;
  readonly ping: (node: string) => Promise<PingAnswer>;
  readonly fetch: Fetch;
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Whether a node is enrolled in a directory, or runs there. */
export function isNodeState(state: string): boolean {
  return existsSync(join(state, 'enrolment.json'));
}

/** All that a node needs, looked at one by one. The node's state must be there. */
export async function examineNode(options: NodeDoctorOptions): Promise<Finding[]> {
  const { state, status, ping } = options;
  const rights = await look('rights', () => [...stateRights(state), ...keyRights(state)]);
  const memory = memoryOf(state);
  const enrolment = memory instanceof Error ? undefined : memory.readEnrolment();
  return [
    ...runningOf(options),
    ...(memory instanceof Error
      ? unreadable(memory, rights)
      : await towardsController(enrolment, options)),
    ...(status === undefined
      ? []
      : [
          ...(await look('udp', () => udpOf(status, ping))),
          ...(enrolment === undefined
            ? []
            : await look('endpoints', () =>
                endpointsOf(status.peers, {
                  places: status.places ?? null,
                  port: enrolment.listen_port,
                }),
              )),
          ...(await look('mtu', () => mtuFindings(status))),
        ]),
    ...(enrolment === undefined
      ? []
      : await look('overlap', () =>
          overlapOf(enrolment.tunnel_prefix, interfaceWith(enrolment.tunnel_address)),
        )),
    ...rights,
    ...deviceRights(status),
    ...(await look('disk', () => diskOf(state))),
  ];
}

function runningOf({ state, status }: NodeDoctorOptions): Finding[] {
  if (status === undefined) {
    const remedy = 'start it: systemctl start meshnet-node, or meshnet node';
    return [problem('running', `no node runs in ${state}, or not as this user`, remedy)];
  }
  const { node_id, ready, ready_reason, allowed, explanation, epoch } = status;
  if (ready) return [ok('running', `${node_id} is a member of epoch ${epoch}`)];
  if (allowed === false) {
    const remedy = `meshnet why ${node_id} on the controller tells the numbers`;
    return [warning('running', `${node_id} is out: ${explanation}`, remedy)];
  }
  const remedy = 'what follows says what is missing; meshnet events tells what happened';
  return [problem('running', `${node_id} is not ready: ${ready_reason}`, remedy)];
}

/** Without its memory nothing can be said of the controller: it is not known which one is to be believed. */
function unreadable({ message }: Error, rights: readonly Finding[]): Finding[] {
  if (rights.some((one) => one.found === message)) return [];
  return [problem('state', message, 'do what the message says')];
}

async function towardsController(
  enrolment: Enrolment | undefined,
  options: NodeDoctorOptions,
): Promise<Finding[]> {
  const url = options.controllerUrl ?? readKnownController(options.state);
  if (url === undefined) {
    return [problem('reach', 'no controller is known', 'give --controller URL')];
  }
  const meshId = fromBase64(enrolment?.mesh_id ?? '', 32);
  const reach = await look('reach', () => reachOf({ ...options, url, meshId }));
  if (reach.some(({ level }) => level === 'problem')) return reach;
  const tls = await look('tls', () => tlsOf(url, options.clock.wall()));
  if (enrolment === undefined) return [...reach, ...tls];
  const authority = await look('authority', () =>
    authorityOf({ ...options, url, meshId, signingSeed: readNodeKeys(options.state).signing }),
  );
  return [...reach, ...tls, ...authority];
}

function keyRights(state: string): Finding[] {
  try {
    readNodeKeys(state);
    return [ok('rights', 'the keys are private')];
  } catch (error) {
    return [problem('rights', (error as Error).message, 'do what the message says')];
  }
}

/** Bits of /proc/self/status, CapEff (capabilities(7)). */
const CAP_NET_ADMIN = 12n;

/** Whether the node has its interface; where none runs, whether this user could make one. */
function deviceRights(status: NodeStatusDocument | undefined): Finding[] {
  const backend = status?.backend ?? (mayMakeInterfaces() ? 'linux' : 'userspace');
  if (backend !== 'userspace') return [ok('rights', 'the mesh has an interface here')];
  const missing = existsSync('/dev/net/tun') ? 'CAP_NET_ADMIN' : '/dev/net/tun';
  const found = 'no interface: nothing but echoes reaches this node';
  const remedy = `run it as root, or give it ${missing}${missing === 'CAP_NET_ADMIN' ? '' : ' (modprobe tun) and CAP_NET_ADMIN'}`;
  return [warning('rights', found, remedy)];
}

function mayMakeInterfaces(): boolean {
  if (!existsSync('/dev/net/tun')) return false;
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return ((BigInt(`0x${hex ?? '0'}`) >> CAP_NET_ADMIN) & 1n) === 1n;
}

function memoryOf(state: string): NodeState | Error {
  try {
    return openNodeState(state);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
