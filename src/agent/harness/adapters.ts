import { garak } from './garak.ts';
import { inspect } from './inspect.ts';
import { json } from './json.ts';
import { lmEval } from './lm-eval.ts';
import type { Adapter } from './outcome.ts';
import { prometheus } from './prometheus.ts';
import { promptfoo } from './promptfoo.ts';

/** Where an adapter's bytes are: the newest fitting file of a folder or the file; or behind a URL. */
export interface Harness {
  readonly adapter: Adapter;
  /** Files of a folder (and the folders in it) that are results; null: a URL. */
  readonly files: RegExp | null;
}

/** By the word before the colon of `--score-from`. */
export const HARNESSES: Readonly<Record<string, Harness>> = {
  inspect: { adapter: inspect, files: /\.(?:json|eval)$/ },
  'lm-eval': { adapter: lmEval, files: /^results_.*\.json$/ },
  garak: { adapter: garak, files: /\.report\.jsonl$/ },
  promptfoo: { adapter: promptfoo, files: /\.json$/ },
  prometheus: { adapter: prometheus, files: null },
  json: { adapter: json, files: /\.json$/ },
};
