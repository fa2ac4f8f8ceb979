import {
  type LogOwner,
  type MeshCheckpoint,
  openMeshCheckpoint,
} from '../contract/record/mesh-checkpoint.ts';
import { seriesOf } from '../contract/record/origin.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import {
  cosignNote,
  formatNote,
  formatSignature,
  type NoteKey,
  verifierKeyText,
} from '../record/note.ts';
import { refusal, refusalOf, type WitnessAnswer } from '../record/witness.ts';
import { parseWitnessRequest } from '../record/witness-request.ts';
import type { AgentClock } from './clock.ts';
import type { Counters } from './counters.ts';
import type { EmitEvent } from './events.ts';
import type { LogCheck } from './log-check.ts';
import type { NodeState } from './node-state.ts';

export interface WitnessOptions {
  readonly crypto: CryptoProvider;
  /** Whose log is cosigned, and nobody else's. */
  readonly identity: LogOwner & { readonly nodeId: string };
  /** Ed25519 seed, 32 bytes, for cosignatures alone. */
  readonly seed: Uint8Array;
  readonly state: Pick<NodeState, 'readCosigned' | 'writeCosigned'>;
  /** What this node itself was told of the log. */
  readonly log: Pick<LogCheck, 'fork' | 'size' | 'compare' | 'contradiction'>;
  readonly clock: Pick<AgentClock, 'wall'>;
  readonly counters: Counters;
  readonly emit: EmitEvent;
}

/**
 * Cosigns what the mesh's log says, and never two stories (C2SP tlog-witness). A checkpoint is cosigned
 * if it extends all that were, over restarts; of a log that was begun again after a restored backup the
 * first one is, and the log before it never again.
 */
export class Witness {
  private readonly options: WitnessOptions;
  private readonly key: NoteKey;
  private turn: Promise<unknown> = Promise.resolve();
  /** The last one that came without a proof, so that it is news once. */
  private unproven: string | undefined;

  constructor(options: WitnessOptions) {
    this.options = options;
    const { crypto, identity, seed } = options;
    const name = `aligned-meshnet.witness/${identity.meshId.toHex()}/${identity.nodeId}`;
    this.key = { name, algorithm: 'cosignature', publicKey: crypto.ed25519Public(seed) };
  }

  /** How others are told the key of its cosignatures. */
  get verifierKey(): string {
    return verifierKeyText(this.options.crypto, this.key);
  }

  /** Answers `POST /add-checkpoint`: one after the other, so that what is compared is what is kept. */
  answer(body: string): Promise<WitnessAnswer> {
    const answer = this.turn.then(() => this.decide(body));
    this.turn = answer.catch(() => {}); // whoever asked is told
    return answer.then((one) => {
      this.options.counters.add(`witness_answered_${one.status}`);
      return one;
    });
  }

  private async decide(body: string): Promise<WitnessAnswer> {
    const { crypto, identity, state, log, clock, seed } = this.options;
    const request = parseWitnessRequest(body);
    if (request === undefined) return refusal(400, 'is no request to a witness');
    const origin = request.checkpoint.split('\n', 1)[0]!;
    const series = seriesOf(identity.meshId, origin);
    const kept = this.cosigned();
    if (series === undefined || series < (kept?.series ?? 0)) {
      return refusal(404, 'is not the log that is cosigned here');
    }
    const told = openMeshCheckpoint(crypto, identity, request.checkpoint);
    if (told === undefined) return refusal(403, 'the checkpoint is not signed by the mesh');
    const cosigned = kept?.series === series ? kept : undefined;
    const fork = log.fork ?? (await log.compare(told, cosigned));
    const refused = refusalOf(crypto, request, told, cosigned);
    if (refused?.status === 422) this.lookInto(request.checkpoint, told);
    if (refused !== undefined) return refused;
    if (fork !== undefined) return refusal(409, `this node knows two logs: ${fork}`);
    if (told.size !== cosigned?.size) await state.writeCosigned(formatNote(told.note));
    const timeS = Math.floor(clock.wall() / 1000);
    const signature = cosignNote(crypto, seed, this.key, told.note.text, timeS);
    return { ...refusal(200, ''), body: formatSignature(signature) };
  }

  /**
   * A checkpoint of the mesh came without the proof. That may be the fault of whoever brought it: this
   * node asks the controller for the proof, as with one that a config brings.
   */
  private lookInto(checkpoint: string, { note, size }: MeshCheckpoint): void {
    const { log, emit } = this.options;
    if (note.text === this.unproven) return;
    this.unproven = note.text;
    emit({ event: 'witness_refused', leaves: size });
    if (size > log.size) void log.contradiction(checkpoint).catch(() => {}); // asked for again at the next
  }

  private cosigned(): MeshCheckpoint | undefined {
    const { crypto, identity, state } = this.options;
    const kept = state.readCosigned();
    return kept === undefined ? undefined : openMeshCheckpoint(crypto, identity, kept);
  }
}
