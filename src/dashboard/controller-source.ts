import { accepted, PROBLEMS, rejected } from '../contract/problems.ts';
import { whoIsIt } from '../controller/operations/access.ts';
import { signIn } from '../controller/operations/authorise.ts';
import { policyInForce, setPolicy } from '../controller/operations/policy.ts';
import { newestCheckpoint } from '../controller/operations/read-log.ts';
import type { Services } from '../controller/services.ts';
import { parseTilePath } from '../record/tiles.ts';
import { MOST_PAIRS, type NodeHistory } from './documents.ts';
import type { EpochLog } from './epoch-log.ts';
import { alertsOf, evaluatorViews, runsOf, witnessViews } from './health.ts';
import { meshView, nodeDetail, pairView } from './mesh-view.ts';
import { NodeProofs } from './node-proofs.ts';
import { PolicyReplay } from './policy-replay.ts';
import type { DashboardSource } from './source.ts';

/** Points of one node that a page gets. */
const MAX_SCORES = 2000;
const MAX_VERDICTS = 2000;

/** The dashboard's view of a controller in this process. */
export function controllerSource(
  services: Services,
  log: EpochLog,
  version: string,
): DashboardSource {
  const { governor, store, streams, counters, documents, spine, reach, log: published } = services;
  const proofs = new NodeProofs(services);
  const replay = new PolicyReplay(services);
  const startedAt = performance.now();
  return {
    signIn: (token, from) => signIn(services, token, from),
    whoIs: (holder) => whoIsIt(services, holder),
    policy: () => policyInForce(services),
    replay: (document, signal) => replay.run(document, signal),
    proof: (node, epoch, holder, signal) => proofs.make(node, epoch, holder, signal),
    setPolicy: (holder, change) => setPolicy(services, holder, change),
    mesh: async () => {
      const document = await documents.present();
      const members = new Set(
        document.nodes.flatMap(({ node_id, allowed }) => (allowed ? node_id : [])),
      );
      return meshView(
        document,
        governor.notReady,
        reach.byNode((id) => members.has(id)),
      );
    },
    reach: () => ({ pairs: reach.latest(MOST_PAIRS).map(pairView) }),
    epochs: (limit) => log.latestEpochs(limit),
    changes: (limit) => log.latestChanges(limit),
    marks: (limit) => log.latestMarks(limit),
    node: async (id): Promise<NodeHistory> => {
      const [document, scores, verdicts] = await Promise.all([
        documents.present(),
        store.evidenceOf(id, MAX_SCORES),
        store.verdictsOf(id, MAX_VERDICTS),
      ]);
      return {
        id,
        present: nodeDetail(document, id) ?? null,
        reaches: reach.toldBy(id).map(pairView),
        reachedBy: reach.toldOf(id, MOST_PAIRS).map(pairView),
        scores: scores.map(({ suite, signer, score, samples, observedAt }) => ({
          suite,
          signer,
          score,
          samples,
          observedAt,
        })),
        verdicts: verdicts.map(({ epoch, startedAt, allowed, reason, explanation }) => ({
          epoch,
          at: startedAt,
          allowed,
          reason,
          explanation,
        })),
      };
    },
    logFile: async (path) => {
      if (path === 'key') return accepted(Buffer.from(await published.verifierKey()));
      if (path === 'checkpoint') {
        const checkpoint = await newestCheckpoint(services);
        return checkpoint.ok ? accepted(Buffer.from(checkpoint.value)) : checkpoint;
      }
      const tile = parseTilePath(path);
      const bytes = tile && (await store.logTile(tile));
      return bytes === undefined ? rejected('not_found') : accepted(bytes);
    },
    health: async () => {
      const document = await documents.present();
      const { now } = document;
      const trouble = {
        epochsFailed: counters.count('epoch_failed'),
        requestsFailed: counters.count('request_failed'),
        eventsDropped: spine.deliveries.reduce((sum, one) => sum + one.dropped, 0),
        certificateExpiresAt: counters.certificateExpiresAt,
      };
      return {
        alerts: alertsOf(document, trouble),
        runs: runsOf(document.nodes, now),
        evaluators: evaluatorViews(document.evaluators, now),
        witnesses: witnessViews(document.witnesses),
        version,
        uptimeS: (performance.now() - startedAt) / 1000,
        residentBytes: process.memoryUsage.rss(),
        streams: streams.size,
        acceptedScores: counters.count('score_accepted'),
        rotations: counters.count('epoch_committed'),
        exclusions: counters.exclusions,
        problems: [...counters.refusedByCode]
          .map(([code, count]) => ({ code, title: PROBLEMS[code].title, count }))
          .sort((a, b) => b.count - a.count),
      };
    },
  };
}
