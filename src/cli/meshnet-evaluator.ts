import { isPerNode, NAME_MARK } from '../agent/harness/node-places.ts';
import {
  findsNodes,
  type NodeMeasurement,
  Watch,
  type WatchEvent,
} from '../agent/harness/watch.ts';
import { isNodeId } from '../contract/ids.ts';
import { printable, printableJson } from '../contract/printable.ts';
import { Evaluator, isUnreachable, lockKey, meshOf } from './evaluator.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { type ScoreFromCommandOptions, type SuiteOrigin, suiteOrigins } from './score-sources.ts';
import { standardOutput } from './standard-output.ts';
import { stopSignal } from './stop-signal.ts';

/** Options of `meshnet evaluator` as commander hands them over. */
export interface EvaluatorCommandOptions extends ScoreFromCommandOptions {
  readonly key: string;
  readonly mesh?: string;
  readonly controller: string;
  readonly node?: readonly string[];
  readonly interval: number;
  readonly json?: boolean;
  readonly stopWithStdin?: boolean;
}

/** What `meshnet evaluator` tells; with `--json` one a line. */
type EvaluatorEvent =
  | WatchEvent
  | {
      readonly event: 'score';
      readonly suite: string;
      readonly node: string;
      readonly score: number;
      readonly sequence: number;
    }
  /** The controller can be reached again, or cannot. */
  | { readonly event: 'controller'; readonly ok: boolean; readonly detail: string }
  | { readonly event: 'stopped' };

/** `meshnet evaluator`: reports what harnesses leave about many nodes, until it is stopped. */
export async function runEvaluator(options: EvaluatorCommandOptions): Promise<void> {
  const meshId = meshOf(options.mesh);
  const origins = checkedOrigins(options);
  const output = standardOutput();
  const emit = (event: EvaluatorEvent): void => {
    const line = options.json
      ? printableJson(JSON.stringify({ at: Date.now(), ...event }))
      : printable(describe(event));
    output.write(`${line}\n`);
  };
  const stop = stopSignal({ withStdin: options.stopWithStdin === true, withStdout: false });
  const lock = lockKey(options.key, { program: 'meshnet evaluator' });
  try {
    const delivery = new Deliveries(new Evaluator(options, meshId), emit);
    const watches = origins.map(
      ({ suite, origin, from }) =>
        new Watch({
          suite,
          origin,
          from,
          nodes: options.node === undefined ? null : [...new Set(options.node)],
          intervalMs: options.interval * 1000,
          deliver: (what, signal) => delivery.deliver(what, signal),
          emit,
        }),
    );
    await Promise.all(watches.map((watch) => watch.run(stop)));
    emit({ event: 'stopped' });
  } finally {
    lock.release();
  }
}

const MAX_REFUSALS = 10_000;

/** One delivery after the other: sequences come from one memory. */
class Deliveries {
  private readonly evaluator: Evaluator;
  private readonly emit: (event: EvaluatorEvent) => void;
  private turn: Promise<unknown> = Promise.resolve();
  private isReached = true;
  /** Last refusal of a suite about a node: said again it would be the same. */
  private readonly refused = new Map<string, string>();

  constructor(evaluator: Evaluator, emit: (event: EvaluatorEvent) => void) {
    this.evaluator = evaluator;
    this.emit = emit;
  }

  deliver(what: NodeMeasurement, signal: AbortSignal): Promise<boolean> {
    const turn = this.turn.then(() => this.one(what, signal));
    this.turn = turn.catch(() => {}); // whoever asked for it is told
    return turn;
  }

  private async one(what: NodeMeasurement, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    const { node, measurement } = what;
    const result = await this.evaluator.deliver(what, signal);
    if (signal.aborted && result === undefined) return false;
    if (result?.event === 'score_failed' && isUnreachable(result)) {
      if (this.isReached) this.emit({ event: 'controller', ok: false, detail: result.detail });
      this.isReached = false;
      return false;
    }
    if (result !== undefined && !this.isReached) {
      this.emit({ event: 'controller', ok: true, detail: '' });
      this.isReached = true;
    }
    const series = `${measurement.suite} ${node}`;
    if (result?.event !== 'score_failed') {
      this.refused.delete(series);
      if (result !== undefined) this.emit({ ...result, node });
    } else if (this.refused.get(series) !== result.code) {
      if (this.refused.size >= MAX_REFUSALS) this.refused.clear(); // said twice at worst
      this.refused.set(series, result.code);
      this.emit({ ...result, node });
    }
    return true;
  }
}

function checkedOrigins(options: EvaluatorCommandOptions): SuiteOrigin[] {
  const origins = suiteOrigins(options);
  if (origins.length === 0) throw usage('--score-from: at least one is needed');
  for (const name of options.node ?? []) {
    if (!isNodeId(name)) throw usage(`--node ${name}: not a node name`);
  }
  const seen = new Set<string>();
  for (const { suite, origin } of origins) {
    if (seen.has(suite)) throw usage(`--score-from: two sources for the suite ${suite}`);
    seen.add(suite);
    if (!isPerNode(origin)) {
      throw usage(`--score-from (${suite}): expected ${NAME_MARK} where the node's name stands`);
    }
    if (options.node === undefined && !findsNodes(origin)) {
      throw usage(`--score-from (${suite}): nodes cannot be found there, so --node must name them`);
    }
  }
  return origins;
}

function describe(event: EvaluatorEvent): string {
  switch (event.event) {
    case 'watching':
      return `${event.suite}: watching ${event.nodes} ${event.nodes === 1 ? 'node' : 'nodes'}`;
    case 'score':
      return `${event.node}: ${event.score.toFixed(3)} (${event.suite}, sequence ${event.sequence}) accepted`;
    case 'score_failed':
      return `${event.node ?? 'nobody'}: no score (${event.suite}): ${event.detail} (${event.code})`;
    case 'controller':
      return event.ok ? 'controller: works again' : `controller: not reachable: ${event.detail}`;
    case 'stopped':
      return 'stopped';
  }
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, 'usage', message);
}
