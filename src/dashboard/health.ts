import type {
  EpochDocument,
  EvaluatorStatus,
  NodeStatus,
  WitnessesStatus,
} from '../contract/epoch.ts';
import type { AlertView, EvaluatorView, RunsView, WitnessView } from './documents.ts';

/** What alerts are told from besides the mesh's document. Times: the controller's clock, ms. */
export interface Trouble {
  /** Since the start. */
  readonly epochsFailed: number;
  readonly requestsFailed: number;
  /** Events that somebody who follows them did not get. */
  readonly eventsDropped: number;
  /** Undefined without TLS. */
  readonly certificateExpiresAt: number | undefined;
}

/** As in deploy/prometheus: an epoch that is so late is overdue, ms; a certificate that ends so soon is told. */
const OVERDUE = 60_000;
const CERTIFICATE = 14 * 86_400_000;

/** What there is to be looked at now, the worst first. Pure. */
export function alertsOf(document: EpochDocument, trouble: Trouble): AlertView[] {
  const { now, not_ready: notReady, brake, witnesses } = document;
  const alerts: AlertView[] = [];
  const tell = (name: string, detail: string) => alerts.push({ name, detail });
  if (notReady !== null) tell('No epochs', notReady);
  const late = now - document.next_rotation_at;
  if (late > OVERDUE)
    tell('Epoch overdue', `The next one was due ${Math.round(late / 1000)} s ago.`);
  if (trouble.epochsFailed > 0) tell('Epochs failed', `${trouble.epochsFailed} since the start.`);
  if (brake !== null) {
    const held = brake.held.length;
    tell(
      'Brake',
      `It holds ${held} that judgement would cut. Is it their fault, or what they have in common?`,
    );
  }
  if (witnesses?.fault) tell('Witnesses', witnesses.fault);
  const left = (trouble.certificateExpiresAt ?? Number.POSITIVE_INFINITY) - now;
  if (left < CERTIFICATE) {
    const days = Math.floor(left / 86_400_000);
    tell('Certificate', left < 0 ? 'It has ended.' : `It ends in ${days} days.`);
  }
  const { requestsFailed, eventsDropped } = trouble;
  if (requestsFailed > 0)
    tell('Internal errors', `${requestsFailed} since the start: the log says more.`);
  if (eventsDropped > 0)
    tell('Events dropped', `${eventsDropped} since the start: who follows them is too slow.`);
  return alerts;
}

/** How recent the scores of each suite are. By suite, in the order of the policy. Pure. */
export function runsOf(nodes: readonly NodeStatus[], now: number): RunsView[] {
  const runs = new Map<string, { -readonly [K in keyof RunsView]: RunsView[K] }>();
  for (const { suite, age_s: age, max_age_s: maxAge } of nodes.flatMap((node) => node.suites)) {
    const of = runs.get(suite) ?? { suite, ...NONE };
    runs.set(suite, of);
    if (age === null) {
      of.missing++;
      continue;
    }
    if (age <= maxAge) of.fresh++;
    else of.tooOld++;
    const at = Math.round(now - age * 1000);
    of.newestAt = Math.max(of.newestAt ?? at, at);
    of.oldestAt = Math.min(of.oldestAt ?? at, at);
  }
  return [...runs.values()];
}

const NONE = { fresh: 0, tooOld: 0, missing: 0, newestAt: null, oldestAt: null };

export function evaluatorViews(
  evaluators: readonly EvaluatorStatus[],
  now: number,
): EvaluatorView[] {
  return evaluators.map(({ evaluator, compared, bias, distance, last_s: last }) => {
    const lastAt = last === null ? null : Math.round(now - last * 1000);
    return { evaluator, compared, bias, distance, lastAt };
  });
}

/** None where nobody cosigns the log. */
export function witnessViews(witnesses: WitnessesStatus | null): WitnessView[] {
  const each = witnesses?.each ?? [];
  return each.map(({ witness, leaves, behind_epochs }) => ({
    witness,
    entries: leaves,
    behind: behind_epochs,
  }));
}
