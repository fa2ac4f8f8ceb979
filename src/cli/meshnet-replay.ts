import { writeFileSync } from 'node:fs';
import { DEFAULT_POLICY } from '../controller/policy/default-policy.ts';
import { ruleText } from '../controller/policy/explain.ts';
import type { Policy } from '../controller/policy.ts';
import { readPolicyFile } from '../controller/policy-file.ts';
import { completeSettings, type GivenSettings } from '../controller/settings.ts';
import { SettingsError } from '../controller/settings-error.ts';
import { expected } from '../replay/expected.ts';
import { Figures } from '../replay/figures.ts';
import { OperatingCurve } from '../replay/operating-curve.ts';
import { Raster } from '../replay/raster.ts';
import { type RecordedScore, RecordedScores } from '../replay/recorded.ts';
import { run } from '../replay/run.ts';
import type { ScoreSource } from '../replay/scores.ts';
import { SimulatedScores } from '../replay/simulate.ts';
import type { Simulation } from '../replay/simulation.ts';
import { print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { scoresOfLog } from './log-scores.ts';
import type { LogSourceOptions } from './log-source.ts';
import { readScores, scoresOfState } from './replay-scores.ts';
import { replayText, runLengthText, type TrialAnswer } from './replay-text.ts';
import { type MeshOptions, meshOfOptions, meshOfSpec } from './simulation-spec.ts';

/** Options of `meshnet replay`. */
export interface ReplayCommand extends MeshOptions, LogSourceOptions {
  readonly policy: string;
  readonly against: string;
  readonly from?: string;
  readonly state?: string;
  /** True: the log of the controller on this machine. */
  readonly log?: string | true;
  readonly spec?: string;
  readonly epoch: number;
  readonly days: number;
  readonly seed: number;
  readonly table?: boolean;
  readonly plot?: string;
  readonly curve?: string;
  readonly failAbove?: number;
  readonly json?: boolean;
}

/** `meshnet replay`. */
export async function replay(options: ReplayCommand): Promise<void> {
  if (options.table) {
    process.stdout.write(`${runLengthText()}\n`);
    return;
  }
  const policies = [policyNamed(options.policy, options), policyNamed(options.against, options)];
  const recorded = await recordedScores(options);
  const simulation = recorded === undefined ? simulationOf(options, policies[0]!) : undefined;
  const source =
    simulation === undefined
      ? new RecordedScores(recorded!, options.epoch * 1000)
      : new SimulatedScores(simulation);
  const answers = judged(options, source, policies, simulation);
  print(options, { epochs: source.epochs, trials: answers }, replayText(answers, source));
  const found = answers[0]!.measured.false_cuts_a_day;
  if (options.failAbove !== undefined && (found ?? 0) > options.failAbove) {
    const message = `${found} false cuts a day are more than ${options.failAbove}`;
    throw new CommandError(EXIT.failed, 'too_many_false_cuts', message);
  }
}

function judged(
  options: ReplayCommand,
  source: ScoreSource,
  policies: readonly Policy[],
  simulation: Simulation | undefined,
): TrialAnswer[] {
  const epochMs = options.epoch * 1000;
  const figures = policies.map((one) => new Figures(source, one.suites[0]!.threshold, epochMs));
  const raster = options.plot === undefined ? undefined : new Raster(source, policies[0]!);
  const names = [options.policy, options.against];
  const curve = curveOf(options, source, simulation);
  for (const [i, one] of policies.entries()) curve?.add(names[i]!, one);
  const trials = policies.map((policy, i) => ({
    policy,
    epochMs,
    onEpoch: (...outcome: Parameters<Figures['onEpoch']>) => {
      figures[i]!.onEpoch(...outcome);
      if (i === 0) raster?.onEpoch(...outcome);
    },
  }));
  const all = [...trials, ...(curve?.trials ?? [])];
  run(raster?.watched ?? source, all, progress(source.epochs));
  if (raster !== undefined) writeFileSync(options.plot!, raster.svg());
  if (curve !== undefined) writeFileSync(options.curve!, curve.svg());
  return policies.map((policy, i) => ({
    policy: names[i]!,
    rules: policy.suites.map((rule) => `${rule.suite}: ${ruleText(rule)}`),
    expected: simulation === undefined ? null : expected(policy, simulation),
    measured: figures[i]!.result(),
  }));
}

/** Only where it is known which nodes were good: what is simulated. */
function curveOf(
  { curve, epoch }: ReplayCommand,
  source: ScoreSource,
  simulation: Simulation | undefined,
): OperatingCurve | undefined {
  if (curve === undefined) return undefined;
  if (simulation !== undefined)
    return new OperatingCurve(source, simulation.threshold, epoch * 1000);
  const message = '--curve: nobody knows which cuts of recorded scores are false; simulate them';
  throw new CommandError(EXIT.usage, 'usage', message);
}

function policyNamed(name: string, { epoch: epochS, interval }: ReplayCommand): Policy {
  const lengths = { epochS, ...(interval === undefined ? {} : { reportIntervalS: interval }) };
  return explained(() => {
    const given: GivenSettings =
      name === 'default'
        ? DEFAULT_POLICY
        : name === 'plain'
          ? { suites: PLAIN }
          : readPolicyFile(name);
    // Who may sign is not asked here, so it does not matter which keys evaluators have.
    return completeSettings({ ...given, ...lengths }).policy;
  });
}

function explained<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    throw new CommandError(EXIT.usage, 'invalid_setting', error.message);
  }
}

const PLAIN = [{ suite: 'alignment' }];

function simulationOf(options: ReplayCommand, policy: Policy): Simulation {
  const { days, epoch: epochS, seed, spec } = options;
  const { suite, threshold, reportIntervalS } = policy.suites[0]!;
  const epochs = Math.max(1, Math.round((days * 86_400) / epochS));
  const intervalS = options.interval ?? reportIntervalS;
  const mesh = explained(() =>
    spec === undefined ? meshOfOptions(options, intervalS) : meshOfSpec(spec, options, intervalS),
  );
  return { ...mesh, epochs, epochS, seed, suite, threshold };
}

/** Undefined: they are to be simulated. */
async function recordedScores(options: ReplayCommand): Promise<RecordedScore[] | undefined> {
  const { from, state, log } = options;
  if (from !== undefined) return readScores(from);
  if (state !== undefined) return scoresOfState(state);
  return log === undefined ? undefined : scoresOfLog(log === true ? undefined : log, options);
}

/** On a terminal, a line that counts; elsewhere nothing. */
function progress(epochs: number): (epoch: number) => void {
  if (!process.stderr.isTTY) return () => {};
  const step = Math.max(1, Math.floor(epochs / 100));
  return (epoch) => {
    if (epoch % step === 0) process.stderr.write(`\r${Math.round((epoch / epochs) * 100)} %`);
    if (epoch === epochs) process.stderr.write('\r\u001b[K');
  };
}
