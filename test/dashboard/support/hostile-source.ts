import type { PolicyAnswer, PolicyOutlook } from '../../../src/contract/policy.ts';
import { accepted } from '../../../src/contract/problems.ts';
import type { PairView } from '../../../src/dashboard/documents.ts';
import { meshView, nodeDetail } from '../../../src/dashboard/mesh-view.ts';
import type { DashboardSource } from '../../../src/dashboard/source.ts';
import { largeMesh } from './large-mesh.ts';

/** What somebody might call a node, a suite or a reason who means ill. */
export const HOSTILE = [
  `<img src=x onerror="document.title='owned'">`,
  `"><script>document.title='owned'</script>`,
  'right\u202etfel\u202c to \u2066left',
  'zero\u200bwidth\u200d\ufeff',
  '\u001b[2J\u001b]52;c;AAAA\u0007\u009b31m',
  'a'.repeat(300),
  'many words '.repeat(60).trim(),
  '%2e%2e/%00#/policy?x=1&y="\'`',
  '__proto__',
  'constructor',
  '日本語のなまえ',
  'مرحبا',
  '{{1+1}} <%= 1 %> &lt;b&gt;',
] as const;

const AT = Date.UTC(2026, 6, 1);
const at = (i: number) => HOSTILE[i % HOSTILE.length]!;

function hostileDocument() {
  const mesh = largeMesh(HOSTILE.length);
  const nodes = mesh.nodes.map((node, i) => ({
    ...node,
    node_id: at(i),
    allowed: i % 3 !== 0,
    reason: i % 3 === 0 ? at(i + 1) : 'passed',
    explanation: at(i + 2),
    tunnel_address: at(i + 3),
    suites: HOSTILE.map((suite) => ({ ...node.suites[0]!, suite })),
    rules: HOSTILE,
  }));
  return { ...mesh, not_ready: null, nodes };
}

const trial = {
  cuts: 3,
  worstEpoch: 1,
  frozenEpochs: 0,
  nodes: HOSTILE.map((node, i) => ({ node, cuts: i, memberShare: 0.5, epochsOut: i })),
  curve: [0.5, 0.6, 0.7].map((threshold) => ({ threshold, cuts: 1, nodesCut: 1 })),
};

const hostilePairs: PairView[] = HOSTILE.flatMap((by, i) =>
  HOSTILE.map((node, j) => ({
    by,
    node,
    echo: (['answered', 'unanswered', 'not_asked'] as const)[(i + j) % 3]!,
    echoAt: AT,
    rttMs: i,
    handshakeAt: AT,
    path: at(i + j),
  })),
);

/** All that a page shows, of hostile text; who looks is an admin with such a name. */
export function hostileSource(logFile: DashboardSource['logFile']): DashboardSource {
  const document = hostileDocument();
  // A document with a member `__proto__` is refused as it comes.
  const names = HOSTILE.filter((name) => name !== '__proto__' && name !== 'constructor');
  const policy = Object.fromEntries(names.map((name) => [name, name]));
  return {
    policy: () => ({ policy, rules: HOSTILE, evaluators: HOSTILE }) as unknown as PolicyAnswer,
    replay: async () =>
      accepted({
        from: AT,
        epochs: 3,
        epochS: 60,
        scores: 10,
        isAll: false,
        rules: [HOSTILE, HOSTILE],
        inForce: trial,
        proposed: { ...trial, nodes: trial.nodes.toReversed() },
      }),
    setPolicy: async () =>
      accepted({
        rules: HOSTILE,
        members: 20,
        cut: HOSTILE,
        admitted: HOSTILE,
        over_brake: true,
        set: false,
      } as unknown as PolicyOutlook),
    proof: async () => ({
      ok: false,
      problem: { type: at(0), title: at(0), status: 404, code: 'not_found', detail: at(2) },
    }),
    signIn: async () => accepted({ kind: 'holder', tokenId: 'x' }),
    whoIs: async () => accepted({ name: at(0), role: 'admin', expires_at: null } as never),
    mesh: async () => meshView(document, `${at(0)} ${at(2)}`),
    reach: () => ({ pairs: hostilePairs }),
    node: async (id) => ({
      id,
      present: nodeDetail(document, id) ?? null,
      reaches: hostilePairs.filter(({ by }) => by === id),
      reachedBy: hostilePairs.filter(({ node }) => node === id),
      scores: HOSTILE.flatMap((suite, i) =>
        HOSTILE.map((signer, j) => ({
          suite,
          signer,
          score: ((i + j) % 10) / 10,
          samples: 5,
          observedAt: AT + 60_000 * j,
        })),
      ).slice(0, 40),
      verdicts: HOSTILE.map((text, i) => ({
        epoch: 100 - i,
        at: AT,
        allowed: i % 2 === 0,
        reason: text,
        explanation: text,
      })),
    }),
    epochs: () =>
      [5, 4, 3].map((epoch) => ({
        epoch,
        at: AT + epoch * 60_000,
        members: epoch,
        denied: 2,
        shutOut: 1,
        commitMs: 3,
        pushMs: 8,
      })),
    changes: () =>
      HOSTILE.map((node, i) => ({
        epoch: i,
        at: AT,
        node,
        what: 'shut out',
        reason: node,
        explanation: at(i + 1),
      })),
    marks: () => HOSTILE.map((sentence) => ({ at: AT, what: 'policy', sentence })),
    health: async () => ({
      alerts: HOSTILE.map((name, i) => ({ name, detail: at(i + 1) })),
      runs: HOSTILE.map((suite) => ({
        suite,
        fresh: 1,
        tooOld: 1,
        missing: 1,
        newestAt: AT,
        oldestAt: AT,
      })),
      evaluators: HOSTILE.map((evaluator) => ({
        evaluator,
        compared: 3,
        bias: 0.1,
        distance: 0.1,
        lastAt: AT,
      })),
      witnesses: HOSTILE.map((witness, i) => ({ witness, entries: i, behind: i })),
      version: at(0),
      uptimeS: 5,
      residentBytes: 2 ** 26,
      streams: 3,
      acceptedScores: 4,
      rotations: 5,
      exclusions: 6,
      problems: HOSTILE.map((code) => ({ code, title: code, count: 1 })),
    }),
    logFile,
  };
}
