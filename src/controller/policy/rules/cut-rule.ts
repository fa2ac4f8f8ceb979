import type { Schema } from '../../../contract/schema.ts';
import type { Finding } from './finding.ts';

/** The values of a suite that a rule is asked about. */
export interface Asked {
  /** Oldest first, at least one; 0..1. */
  readonly values: readonly number[];
  /** CUSUM before the last of `values`. */
  readonly sum: number;
  /** How many items or runs the last value averages. */
  readonly samples: number;
  readonly threshold: number;
}

/** What a document says of one suite's `cut`, by the names of the rules' fields. */
export type CutDocument = Readonly<Record<string, unknown>>;

/**
 * One kind of rule that cuts, and all that is particular to it. `Parameters` are complete; `Given` may
 * leave out what follows from the threshold.
 */
export interface CutRule<Parameters, Given = Parameters> {
  /** Its fields in `cut` of a policy document, all of them optional there. */
  readonly fields: Readonly<Record<string, Schema>>;
  /** What the document, which has one of `fields` at least, gives. Throws a `SettingsError`. */
  read(cut: CutDocument, field: string): Given;
  /** The fields that `read` gives these parameters from. */
  write(parameters: Parameters): CutDocument;
  complete(given: Given, threshold: number): Parameters;
  /** Throws a `SettingsError` naming what is out of bounds, below `field`. */
  check(parameters: Parameters, field: string): void;
  ask(asked: Asked, parameters: Parameters): Finding;
  /** When it cuts, for the rule in a line; undefined: as soon as a value is under the threshold. */
  line(parameters: Parameters): string | undefined;
  /** What it went by, for the end of a sentence, from `; ` on; empty: the last value alone. */
  counted(asked: Omit<Asked, 'sum'>, amount: number, parameters: Parameters): string;
}
