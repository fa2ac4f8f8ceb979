import { readNodeKeys } from '../../src/agent/node-keys.ts';
import { openNodeState } from '../../src/agent/node-state.ts';
import { type BenchmarkDocument, DEFAULT_SUITE } from '../../src/contract/benchmark.ts';
import { PAYLOAD_TYPES, signEnvelope } from '../../src/contract/envelope.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { listen, partOptions, say } from './part.ts';

/** Reports scores in the name of nodes, signed with their own keys, when it is told to. */
export interface ScorerPart {
  readonly controllerUrl: string;
}

const crypto = defaultProvider();
const { controllerUrl } = partOptions<ScorerPart>();
const sequences = new Map<string, number>();

async function report(directory: string, score: number): Promise<void> {
  const enrolment = openNodeState(directory).readEnrolment();
  if (enrolment === undefined) throw new Error(`${directory}: not enrolled`);
  const { mesh_id, node_id } = enrolment;
  const sequence = (sequences.get(node_id) ?? 0) + 1;
  sequences.set(node_id, sequence);
  const document: BenchmarkDocument = {
    mesh_id,
    audience: 'controller',
    node_id,
    suite: DEFAULT_SUITE,
    score,
    samples: 50,
    observed_at: Date.now(),
    sequence,
  };
  const { signing } = readNodeKeys(directory);
  const answer = await fetch(`${controllerUrl}/v1/benchmarks/${node_id}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(signEnvelope(crypto, signing, PAYLOAD_TYPES.benchmark, document)),
  });
  if (!answer.ok) throw new Error(`${node_id}: ${answer.status} ${await answer.text()}`);
  await answer.body?.cancel();
}

listen(
  ({ id, directory, score }) => {
    report(directory as string, score as number).then(
      () => say({ id, ok: true }),
      (error: Error) => say({ id, ok: false, error: error.message }),
    );
  },
  () => process.exit(0),
);
