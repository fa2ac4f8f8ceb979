import { exactly, type FromSchema } from '../contract/from-schema.ts';
import type { Schema } from '../contract/schema.ts';
import { mustConform } from '../controller/policy/document.ts';
import { readJson } from '../controller/policy-file.ts';
import { SettingsError } from '../controller/settings-error.ts';
import { GAMING, type Gaming, type Population, type Simulation } from '../replay/simulation.ts';

/** The options of `meshnet replay` that say how nodes are. */
export interface MeshOptions extends Omit<Population, 'intervalS' | 'bad'> {
  readonly interval?: number;
  /** So many of them turn bad. */
  readonly bad: number;
  readonly badMean: number;
  readonly badEpochs: number;
  readonly badEvery: number;
  readonly gaming: Gaming;
  readonly bias: number;
  readonly biasEvery: number;
}

/** What is simulated, without how long and by which seed. */
export type SimulatedMesh = Pick<Simulation, 'populations' | 'bias' | 'biasEvery'>;

const MOST_NODES = 10_000;

const share = {
  type: 'number',
  minimum: 0,
  maximum: 1,
  description: 'a number from 0 to 1',
} as const satisfies Schema;
const epochs = { type: 'integer', minimum: 1, maximum: 1_000_000 } as const satisfies Schema;

const populationSchema = exactly(
  { nodes: { type: 'integer', minimum: 1, maximum: MOST_NODES } },
  {
    mean: share,
    deviation: share,
    items: { type: 'integer', minimum: 0, maximum: 100_000 },
    interval_s: { type: 'number', minimum: 0.1, maximum: 86_400 },
    bad_mean: share,
    bad_epochs: epochs,
    bad_every: epochs,
    gaming: { type: 'string', enum: GAMING },
    decay: share,
    swing: share,
    swing_epochs: epochs,
    loss: share,
  },
);

type PopulationSpec = FromSchema<typeof populationSchema>;

const specSchema = exactly(
  { populations: { type: 'array', minItems: 1, maxItems: 64, items: populationSchema } },
  { bias: { type: 'number', minimum: -1, maximum: 1 }, bias_every: epochs },
);

/** Two populations: those that turn bad, which come first, and those that do not. */
export function meshOfOptions(options: MeshOptions, intervalS: number): SimulatedMesh {
  const { nodes, bias, biasEvery, badMean, badEpochs, badEvery, gaming } = options;
  const bad = Math.min(options.bad, nodes);
  const good = { ...options, nodes: nodes - bad, intervalS, bad: null };
  const turning = { mean: badMean, epochs: badEpochs, every: badEvery, gaming };
  const populations = [{ ...good, nodes: bad, bad: turning }, good];
  return { populations: populations.filter((one) => one.nodes > 0), bias, biasEvery };
}

/**
 * Populations as a file lists them; what one leaves out is as in the options, and without `bad_mean` it
 * is never bad. Throws a `SettingsError` naming the field.
 */
export function meshOfSpec(path: string, options: MeshOptions, intervalS: number): SimulatedMesh {
  const value = readJson(path);
  mustConform(specSchema, value, `${path}: `);
  const { populations, bias, bias_every } = value as FromSchema<typeof specSchema>;
  if (populations.reduce((sum, one) => sum + one.nodes, 0) > MOST_NODES) {
    throw new SettingsError(`${path}: populations`, `at most ${MOST_NODES} nodes in all`);
  }
  return {
    populations: populations.map((one) => populationOf(one, options, intervalS)),
    bias: bias ?? options.bias,
    biasEvery: bias_every ?? options.biasEvery,
  };
}

function populationOf(one: PopulationSpec, options: MeshOptions, intervalS: number): Population {
  return {
    nodes: one.nodes,
    mean: one.mean ?? options.mean,
    deviation: one.deviation ?? options.deviation,
    items: one.items ?? options.items,
    intervalS: one.interval_s ?? intervalS,
    decay: one.decay ?? options.decay,
    swing: one.swing ?? options.swing,
    swingEpochs: one.swing_epochs ?? options.swingEpochs,
    loss: one.loss ?? options.loss,
    bad:
      one.bad_mean === undefined
        ? null
        : {
            mean: one.bad_mean,
            epochs: one.bad_epochs ?? options.badEpochs,
            every: one.bad_every ?? options.badEvery,
            gaming: one.gaming ?? options.gaming,
          },
  };
}
