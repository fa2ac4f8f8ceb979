import type { Machine } from '../../test/lab/machine.ts';

/** Garbage collections of one isolate. */
export interface Isolate {
  collections: number;
  /** MB of heap in use after the first and after the last one in the measured time. */
  firstMb: number;
  lastMb: number;
}

export interface SoakSample {
  readonly seconds: number;
  readonly residentMb: readonly number[];
  readonly descriptors: readonly number[];
}

export interface SoakResults {
  readonly startedAt: string;
  readonly machine: Machine;
  readonly load: number;
  readonly seconds: number;
  readonly gigabytes: number;
  readonly samples: readonly SoakSample[];
  /** For each end, its isolates that collected anything in the measured time. */
  readonly isolates: readonly (readonly Isolate[])[];
}
