import type { AgentClock } from '../clock.ts';
import { type Measurement, ScoreError, type ScoreSource } from '../score-source.ts';
import { HARNESSES } from './adapters.ts';
import { NAME_MARK, nodesAt, originOf } from './node-places.ts';
import { type ScoreFromOptions, type ScoreOrigin, scoreFrom } from './score-from.ts';

export interface NodeMeasurement {
  readonly node: string;
  readonly measurement: Measurement;
}

/** What a watch tells. The same trouble is told once. */
export type WatchEvent =
  | { readonly event: 'watching'; readonly suite: string; readonly nodes: number }
  /** `node` null: the place itself cannot be looked into. */
  | {
      readonly event: 'score_failed';
      readonly suite: string;
      readonly node: string | null;
      readonly code: string;
      readonly detail: string;
    };

export interface WatchOptions {
  readonly suite: string;
  /** With {@link NAME_MARK} where the name of a node stands. */
  readonly origin: ScoreOrigin;
  readonly from: ScoreFromOptions;
  /** Of whom; null: of all that are found there. */
  readonly nodes: readonly string[] | null;
  /** ms between two looks at a node. */
  readonly intervalMs: number;
  /** False: whoever takes scores cannot be reached, so that no other need be tried now. */
  readonly deliver: (what: NodeMeasurement, signal: AbortSignal) => Promise<boolean>;
  readonly emit: (event: WatchEvent) => void;
}

/** More in one suite are a mistake in the place, or somebody's attempt to fill our memory. */
export const MAX_NODES = 4096;
/** Results of one suite that are read at the same time. */
const READERS = 2;

/** Follows the results of one suite about many nodes. */
export class Watch {
  private readonly options: WatchOptions;
  private readonly clock: AgentClock;
  private sources = new Map<string, ScoreSource>();
  /** Last trouble, by the node; '' is the place. */
  private readonly told = new Map<string, string>();
  private watched = -1;

  constructor(options: WatchOptions) {
    this.options = options;
    this.clock = options.from.clock;
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAt = this.clock.monotonic();
      await this.look(signal);
      const elapsed = this.clock.monotonic() - startedAt;
      await this.clock.sleep(this.options.intervalMs - elapsed, signal);
    }
  }

  /** Looks at every node once. */
  private async look(signal: AbortSignal): Promise<void> {
    await this.findNodes();
    const waiting = this.sources.entries();
    let isReached = true;
    const reader = async () => {
      for (const [node, source] of waiting) {
        if (signal.aborted || !isReached) return;
        const measurement = await this.measure(node, source, signal);
        if (measurement === null || signal.aborted) continue;
        isReached &&= await this.options.deliver({ node, measurement }, signal);
      }
    };
    await Promise.all(Array.from({ length: READERS }, reader));
  }

  private async findNodes(): Promise<void> {
    const nodes = await this.nodes();
    if (nodes === undefined) return; // who was known is known still
    const { origin, from, suite, emit } = this.options;
    const before = this.sources;
    this.sources = new Map(
      nodes.map((node) => [node, before.get(node) ?? scoreFrom(originOf(origin, node), from)]),
    );
    for (const node of this.told.keys()) {
      if (node !== '' && !this.sources.has(node)) this.told.delete(node);
    }
    if (this.sources.size !== this.watched) {
      this.watched = this.sources.size;
      emit({ event: 'watching', suite, nodes: this.watched });
    }
  }

  private async nodes(): Promise<readonly string[] | undefined> {
    const { origin, nodes } = this.options;
    if (nodes !== null) return nodes;
    try {
      const found = await nodesAt(origin.location, MAX_NODES + 1);
      if (found.length <= MAX_NODES) this.told.delete('');
      else this.tell(null, 'too_many', `more than ${MAX_NODES} nodes at ${origin.location}`);
      return found.slice(0, MAX_NODES);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.tell(null, 'not_found', `${origin.location}: ${code ?? message}`);
      return undefined;
    }
  }

  private async measure(
    node: string,
    source: ScoreSource,
    signal: AbortSignal,
  ): Promise<Measurement | null> {
    try {
      const measurement = await source(signal);
      if (measurement === null) return null;
      this.told.delete(node);
      return { suite: this.options.suite, ...measurement };
    } catch (error) {
      if (!signal.aborted) {
        const code = error instanceof ScoreError ? error.code : 'failed';
        this.tell(node, code, (error as Error).message);
      }
      return null;
    }
  }

  private tell(node: string | null, code: string, detail: string): void {
    const trouble = `${code}: ${detail}`;
    if (this.told.get(node ?? '') === trouble) return;
    this.told.set(node ?? '', trouble);
    this.options.emit({ event: 'score_failed', suite: this.options.suite, node, code, detail });
  }
}

/** Whether the nodes can be found by looking at the place itself. */
export function findsNodes({ kind, location }: ScoreOrigin): boolean {
  return HARNESSES[kind]!.files !== null && location.includes(NAME_MARK);
}
