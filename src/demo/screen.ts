import type { NodeStatus } from '../contract/epoch.ts';
import { changeVerb, type DemoModel, describeEcho, pair } from './model.ts';

export interface ScreenContext {
  readonly mode: string;
  /** Why it is not the other mode; empty if there is nothing to say. */
  readonly note: string;
  readonly scenario: string;
  readonly epochSeconds: number;
  readonly colour: boolean;
  /** How to look around in the running demo. */
  readonly hints: readonly string[];
}

const CODES = { green: 32, red: 31, yellow: 33, dim: 2, bold: 1 } as const;

/** The live view as lines. Pure: the model and the time go in, text comes out. */
export function renderScreen(model: DemoModel, context: ScreenContext, now: number): string[] {
  const paint = (code: keyof typeof CODES, text: string) =>
    context.colour ? `\x1b[${CODES[code]}m${text}\x1b[0m` : text;
  const { epoch } = model;
  const lines: string[] = [
    `${paint('bold', 'Aligned Meshnet')}  three real peers, one of them misbehaves  (${context.mode}, scenario ${context.scenario})`,
  ];
  if (context.note !== '') lines.push(paint('yellow', context.note));
  if (!epoch) return [...lines, '', 'starting the controller and the nodes ...'];

  const left = Math.max(0, (epoch.next_rotation_at - now) / 1000);
  const clock =
    context.epochSeconds === 60
      ? ''
      : paint('dim', `  (epochs of ${context.epochSeconds} s here; production uses 60 s)`);
  lines.push(
    `epoch ${paint('bold', String(epoch.epoch))}, next rotation in ${left.toFixed(1)} s ${countdown(left / context.epochSeconds)}, a member scores >= ${epoch.threshold.toFixed(2)} and is at most ${epoch.freshness_s} s old${clock}`,
    '',
    paint(
      'dim',
      `NODE     ADDRESS      SCORE  ${'LAST SCORES'.padEnd(TREND_WIDTH)} AGE      VERDICT  WHY`,
    ),
  );
  for (const node of epoch.nodes) {
    const scores = model.scores.get(node.node_id) ?? [];
    lines.push(nodeLine(node, scores, epoch, now, paint));
  }

  lines.push(
    '',
    paint('dim', 'FROM \\ TO   echo through the tunnel, handshake age, PSK generation'),
  );
  for (const from of model.nodeIds) {
    const cells = model.nodeIds.map((to) => {
      const width = 34;
      if (from === to) return `${''.padEnd(width)}`;
      const { text, colour } = reachCell(model, from, to, now);
      return paint(colour, text.padEnd(width));
    });
    lines.push(`${from.padEnd(10)} ${cells.join('').trimEnd()}`);
  }

  lines.push('', paint('dim', 'WHAT HAPPENED'));
  for (const change of model.changes.slice(-6)) {
    const colour = change.allowed ? 'green' : change.reason === 'not_yet_decided' ? 'dim' : 'red';
    const verb = paint(colour, changeVerb(change).padEnd(8));
    lines.push(
      `epoch ${String(change.epoch).padStart(3)}  ${change.node} ${verb}  ${change.explanation}`,
    );
  }
  if (context.hints.length > 0) lines.push('', ...context.hints.map((hint) => paint('dim', hint)));
  return lines;
}

type Paint = (code: keyof typeof CODES, text: string) => string;

const TREND_WIDTH = 16;
const LEVELS = '▁▂▃▄▅▆▇█';

/** One character for a score from 0 to 1, the newest last. */
export function sparkline(scores: readonly number[]): string {
  const level = (score: number) => Math.min(LEVELS.length - 1, Math.floor(score * LEVELS.length));
  return scores
    .slice(-TREND_WIDTH)
    .map((score) => LEVELS[Math.max(0, level(score))])
    .join('');
}

const COUNTDOWN_WIDTH = 10;

/** What is left of an epoch; `share` from 1, at its beginning, to 0. */
export function countdown(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * COUNTDOWN_WIDTH);
  return `[${'#'.repeat(full).padEnd(COUNTDOWN_WIDTH, '.')}]`;
}

function nodeLine(
  node: NodeStatus,
  scores: readonly number[],
  epoch: { readonly now: number },
  now: number,
  paint: Paint,
): string {
  const score = node.score === null ? '-' : node.score.toFixed(3);
  const grown = Math.max(0, (now - epoch.now) / 1000);
  const age = node.age_s === null ? '-' : `${(node.age_s + grown).toFixed(1)} s`;
  const verdict = node.allowed ? paint('green', 'member ') : paint('red', 'denied ');
  return `${node.node_id.padEnd(8)} ${node.tunnel_address.padEnd(12)} ${score.padEnd(6)} ${sparkline(scores).padStart(TREND_WIDTH)} ${age.padEnd(8)} ${verdict}  ${node.explanation}`;
}

function reachCell(
  model: DemoModel,
  from: string,
  to: string,
  now: number,
): { text: string; colour: 'green' | 'red' | 'dim' } {
  const name = to.replace(/^node-/, '');
  const last = model.reach.get(pair(from, to));
  const peer = model.status.get(from)?.peers.find((other) => other.node_id === to);
  if (!last) return { text: `${name}: not asked yet`, colour: 'dim' };
  if (!last.ok) return { text: `${name}: ${describeEcho(last)}`, colour: 'red' };
  const status = model.status.get(from);
  const aged = status ? Math.max(0, (now - status.written_at) / 1000) : 0;
  const handshake =
    peer?.handshake_age_s == null ? '' : `, ${(peer.handshake_age_s + aged).toFixed(0)} s`;
  const generation = peer?.generation == null ? '' : `, gen ${peer.generation}`;
  return {
    text: `${name}: ${last.rttMs?.toFixed(2)} ms${handshake}${generation}`,
    colour: 'green',
  };
}
