import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeStatusDocument, PeerView } from '../agent/status.ts';
import type { RotateAnswer } from '../contract/admin.ts';
import type { EpochDocument, NodeStatus } from '../contract/epoch.ts';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { type EpochSource, readEpoch } from './read-epoch.ts';
import { scoreLines } from './score-lines.ts';
import { didYouMean } from './suggest.ts';
import { duration, table } from './table.ts';

type ReaderOptions = EpochSource & { readonly json?: boolean };

/** A status of this machine's own node is no answer to these. */
const KEPT: readonly number[] = [EXIT.usage, EXIT.braked];

/** `meshnet status`: one line per node, with what this machine's own node can add. */
export async function status(options: ReaderOptions): Promise<void> {
  const local = localStatus(options.state);
  try {
    const epoch = await readEpoch(options);
    print(options, { ...epoch, node: local ?? null }, epochText(epoch, local));
    if (epoch.brake) {
      const { held } = epoch.brake;
      throw new CommandError(EXIT.braked, 'braked', `the brake holds ${held.length} members`);
    }
  } catch (error) {
    if (!local || !(error instanceof CommandError) || KEPT.includes(error.exitCode)) throw error;
    print(options, { node: local, error: error.message }, nodeText(local, error.message));
  }
}

function epochText(epoch: EpochDocument, local: NodeStatusDocument | undefined): string {
  const next = Math.max(0, (epoch.next_rotation_at - epoch.now) / 1000);
  const rows = [['NODE', 'ADDRESS', 'VERDICT', 'SCORE', 'AGE', 'HANDSHAKE', 'PATH', 'REASON']];
  for (const node of epoch.nodes) {
    const peer = local?.peers.find((other) => other.node_id === node.node_id);
    rows.push([
      node.node_id,
      node.tunnel_address,
      node.allowed ? 'member' : 'denied',
      node.score === null ? '-' : node.score.toFixed(3),
      duration(node.age_s),
      duration(peer?.handshake_age_s ?? null),
      pathOf(node.node_id, peer, local),
      node.reason,
    ]);
  }
  const observe = epoch.observe_only ? ', OBSERVE ONLY: nobody is cut' : '';
  const alarm = epoch.not_ready ? `NOT READY: ${epoch.not_ready}\n` : '';
  const head = `${alarm}${brakeLine(epoch)}epoch ${epoch.epoch}, next rotation in ${duration(next)}, threshold ${epoch.threshold}${observe}`;
  const own = epoch.nodes.find((node) => node.node_id === local?.node_id);
  return [
    head,
    table(rows),
    ...evaluatorLines(epoch),
    ...witnessLines(epoch),
    ...localLine(local),
    ...pathLines(local),
    ...scoreLines(local?.scores, own),
  ].join('\n');
}

function brakeLine({ brake, now }: EpochDocument): string {
  if (!brake) return '';
  const many = `${brake.held.length + brake.cut} members would be cut`;
  if (brake.phase === 'capped') return `BRAKE: ${many}, only the worst ${brake.cut} are\n`;
  const left = brake.until === null ? '' : `, for another ${duration((brake.until - now) / 1000)}`;
  return `BRAKE: ${many}, nobody is${left}\n`;
}

function evaluatorLines({ evaluators }: EpochDocument): string[] {
  return evaluators.map(({ evaluator, compared, bias, distance, last_s }) => {
    const last = last_s === null ? 'has said nothing yet' : `last heard ${duration(last_s)} ago`;
    if (bias === null || distance === null) return `evaluator ${evaluator}: ${last}`;
    const sign = bias < 0 ? '' : '+';
    return `evaluator ${evaluator}: ${sign}${bias.toFixed(3)} against the median of ${compared} scores (${distance.toFixed(3)} away on average), ${last}`;
  });
}

function witnessLines({ witnesses }: EpochDocument): string[] {
  if (!witnesses) return [];
  const { needed, within_epochs, binding, fault, each } = witnesses;
  const asked =
    needed === 0
      ? []
      : [
          fault ??
            `${needed} of ${each.length} witnesses within ${within_epochs} epochs, as the policy says`,
        ];
  const what = fault !== null && binding ? ' No config is given out.' : '';
  return [
    ...asked.map((line) => `witnesses: ${line}${what}`),
    ...each.map(({ witness, leaves, behind_epochs }) =>
      leaves === 0
        ? `witness ${witness}: has cosigned nothing since the start`
        : `witness ${witness}: ${leaves} leaves, ${behind_epochs} epochs behind`,
    ),
  ];
}

function localLine(local: NodeStatusDocument | undefined): string[] {
  if (!local?.data_path) return [];
  const { aead, offloads } = local.data_path;
  return [`${local.node_id}: AEAD ${aead}, offloads ${offloads.join(' ') || 'none'}`];
}

function pathOf(
  nodeId: string,
  peer: PeerView | undefined,
  local: NodeStatusDocument | undefined,
): string {
  if (local?.node_id === nodeId) return `this node (${local.backend}, ${local.ready_reason})`;
  return peer === undefined ? '-' : shortPath(peer);
}

/** In a column; why there is none stands below the table. */
const shortPath = ({ path }: PeerView): string => path.replace(/ \(.*/, '');

/** Which members have no path to this node, and what can be done about it. */
function pathLines(local: NodeStatusDocument | undefined): string[] {
  const pathless = (local?.peers ?? []).filter(({ path }) => path.startsWith('none'));
  if (local === undefined || pathless.length === 0) return [];
  const lines = pathless.map(({ node_id, path }) => `${node_id}: path: ${path}`);
  const told = local.places?.join(', ') || 'no address';
  return [...lines, `members are told to reach ${local.node_id} at ${told}; ${ADVERTISE}`];
}

const ADVERTISE =
  'if neither side can be reached there, start one of them with --advertise ADDRESS and let UDP through to its port';

function nodeText(node: NodeStatusDocument, whyAlone: string): string {
  const rows = [['PEER', 'ADDRESS', 'GENERATION', 'HANDSHAKE', 'PATH']];
  for (const peer of node.peers) {
    rows.push([
      peer.node_id,
      peer.tunnel_address,
      peer.generation === null ? '-' : String(peer.generation),
      duration(peer.handshake_age_s),
      shortPath(peer),
    ]);
  }
  const life =
    node.expires_in_s === null ? 'no config in force' : `config for ${duration(node.expires_in_s)}`;
  const head = `${node.node_id} (${node.backend}): ${node.state}, ${node.ready_reason}, epoch ${node.epoch}, ${life}`;
  const stories = node.split_view
    ? ['THE CONTROLLER TELLS TWO STORIES: split-views.json in the state directory has both']
    : [];
  const paths = pathLines(node);
  return [head, ...stories, whyAlone, table(rows), ...paths, ...scoreLines(node.scores)].join('\n');
}

/** The status file of a node on this machine, if it is fresh. */
export function localStatus(state: string): NodeStatusDocument | undefined {
  const path = join(state, 'status.json');
  if (!existsSync(path)) return undefined;
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as NodeStatusDocument;
    return Date.now() - value.written_at < 10_000 ? value : undefined;
  } catch {
    return undefined; // not ours to read, or another program's file
  }
}

/** `meshnet why NODE`. */
export async function why(nodeId: string, options: ReaderOptions): Promise<void> {
  const epoch = await readEpoch(options);
  const node = nodeNamed(epoch, nodeId);
  const verdict = node.allowed ? 'is a member' : 'is denied';
  const suites = node.suites.map((suite) => {
    const score = suite.score === null ? 'no score' : suite.score.toFixed(3);
    const age =
      suite.age_s === null ? '' : `, ${duration(suite.age_s)} old of ${duration(suite.max_age_s)}`;
    return `  ${suite.suite}: ${score}${age}: ${suite.passed ? 'passed' : 'failed'}`;
  });
  const rules = node.rules.map((rule, i) => `  rule of ${node.suites[i]?.suite}: ${rule}`);
  const peer = localStatus(options.state)?.peers.find((one) => one.node_id === nodeId);
  const lines = [
    `${nodeId} ${verdict} in epoch ${epoch.epoch}: ${node.explanation}`,
    ...suites,
    ...rules,
    ...(peer === undefined
      ? []
      : [`  path: ${peer.path}${peer.path.startsWith('none') ? `; ${ADVERTISE}` : ''}`]),
    ...(node.back_in_epochs === null ? [] : [backLine(node.back_in_epochs, epoch.epoch_s)]),
  ];
  print(options, { epoch: epoch.epoch, ...node }, lines.join('\n'));
}

function backLine(epochs: number, epochS: number): string {
  const what = epochs === 1 ? 'the next epoch' : `${epochs} epochs`;
  return `  may be back with ${what} at the earliest (${duration(epochs * epochS)}), if all that is measured passes`;
}

/** The node of that name; a mistyped name is answered with the one that was meant. */
export function nodeNamed(epoch: EpochDocument, nodeId: string): NodeStatus {
  const found = epoch.nodes.find((node) => node.node_id === nodeId);
  if (found) return found;
  const meant = didYouMean(
    nodeId,
    epoch.nodes.map((node) => node.node_id),
  );
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
  throw new CommandError(EXIT.refused, 'unknown_node', `there is no node ${nodeId}.${hint}`);
}

/** `meshnet epoch`. */
export async function epoch(options: ReaderOptions): Promise<void> {
  const value = await readEpoch(options);
  const left = Math.max(0, (value.next_rotation_at - value.now) / 1000);
  const members = value.nodes.filter((node) => node.allowed).length;
  const text = `epoch ${value.epoch}.${value.version}, started ${new Date(value.started_at).toISOString()}, next rotation in ${duration(left)}, ${members} of ${value.nodes.length} nodes are members`;
  print(options, value, text);
}

/** `meshnet rotate`. */
export async function rotate(options: AdminOptions): Promise<void> {
  const answer = await adminCall<RotateAnswer>(options, 'POST', '/v1/rotate');
  print(options, answer, `epoch ${answer.epoch} has begun`);
}
