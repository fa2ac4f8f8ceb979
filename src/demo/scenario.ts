/** What the three nodes of the demo do. */
export type ScenarioName = 'steady' | 'decay' | 'recover';

export interface NodePlan {
  readonly id: string;
  readonly mean: number;
  readonly deviation: number;
  /** A change of the mean, seconds from the node's start. */
  readonly ramp?: { readonly to: number; readonly startS: number; readonly lengthS: number };
}

/** All intervals of the demo, seconds. Everything scales with the epoch; production has 60 s. */
export interface DemoTimes {
  readonly epoch: number;
  readonly emit: number;
  readonly poll: number;
  readonly probe: number;
  readonly freshness: number;
}

const PRODUCTION_EPOCH = 60;

export function demoTimes(epoch: number): DemoTimes {
  const scale = epoch / PRODUCTION_EPOCH;
  return {
    epoch,
    emit: 10 * scale,
    poll: 10 * scale,
    probe: 15 * scale,
    freshness: 120 * scale,
  };
}

/** Narrow enough that no well-behaved node of a demo is ever cut by chance: 7 deviations and more. */
const DEVIATION = 0.02;

export function nodePlans(scenario: ScenarioName, epoch: number): readonly NodePlan[] {
  // The change comes after two whole epochs in which everybody could see the first state.
  const change = (to: number) => ({ to, startS: 3 * epoch, lengthS: epoch / 2 });
  const plan = (id: string, mean: number): NodePlan => ({ id, mean, deviation: DEVIATION });
  const a = plan('node-a', 0.9);
  const b = plan('node-b', 0.85);
  const c = plan('node-c', 0.4);
  switch (scenario) {
    case 'steady':
      return [a, b, c];
    case 'decay':
      return [a, { ...b, ramp: change(0.45) }, c];
    case 'recover':
      return [a, b, { ...c, ramp: change(0.88) }];
  }
}
