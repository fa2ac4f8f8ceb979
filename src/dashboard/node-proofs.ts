import { setImmediate as nextTurn } from 'node:timers/promises';
import { accepted, type Checked, rejected } from '../contract/problems.ts';
import { type Leaf, parseLeaf } from '../contract/record/leaf.ts';
import type { ProofDocument } from '../contract/record/proof.ts';
import { ProofFault, type ProvableLog, prove } from '../contract/record/prove.ts';
import { atLeast } from '../controller/operations/authorise.ts';
import type { HolderCaller } from '../controller/operations/caller.ts';
import { newestCheckpoint } from '../controller/operations/read-log.ts';
import type { Services } from '../controller/services.ts';
import { decodeEntries, TILE_WIDTH, tileWidth } from '../record/tiles.ts';

/** Longest that one may take, ms. */
const MAX_MS = 30_000;

/** Makes proofs of verdicts out of the controller's own log, one at a time, a tile in a turn. */
export class NodeProofs {
  private readonly services: Services;
  private isBusy = false;

  constructor(services: Services) {
    this.services = services;
  }

  async make(
    node: string,
    epoch: number,
    holder: HolderCaller | undefined,
    signal: AbortSignal,
  ): Promise<Checked<ProofDocument>> {
    const allowed = await this.mayRead(holder);
    if (!allowed.ok) return allowed;
    if (this.isBusy) {
      return rejected('overloaded', { detail: 'Another proof is being made: try again.' });
    }
    this.isBusy = true;
    try {
      const checkpoint = await newestCheckpoint(this.services);
      if (!checkpoint.ok) return checkpoint;
      const { crypto } = this.services;
      const log = this.log(
        checkpoint.value,
        AbortSignal.any([signal, AbortSignal.timeout(MAX_MS)]),
      );
      return accepted(await prove(crypto, log, node, epoch));
    } catch (error) {
      if (error instanceof TooLong) {
        return rejected('overloaded', { detail: 'It takes too long: try meshnet log prove.' });
      }
      if (!(error instanceof ProofFault) || error.code === 'wrong_log') throw error;
      return rejected('not_found', { detail: `No proof: ${error.message}.` });
    } finally {
      this.isBusy = false;
    }
  }

  /** Where each node may read its own rows alone, those of all are for admins. */
  private async mayRead(holder: HolderCaller | undefined): Promise<Checked<unknown>> {
    if (this.services.settings.recordReaders.verdicts !== 'own') return accepted(null);
    if (holder !== undefined) return atLeast(this.services, holder, 'admin');
    const expected = 'an access token with the role admin: here each node reads its own verdicts';
    return rejected('not_authorized', { expected });
  }

  private log(checkpoint: string, signal: AbortSignal): ProvableLog {
    const { store, crypto, signingSeed } = this.services;
    const pause = async () => {
      await nextTurn();
      if (signal.aborted) throw new TooLong();
    };
    const size = Number(checkpoint.split('\n')[1]);
    let tile = { index: -1, entries: [] as readonly { content: Uint8Array; leaf: Leaf }[] };
    return {
      controllerKey: crypto.ed25519Public(signingSeed),
      checkpoint,
      size,
      leaf: async (at) => {
        const index = Math.floor(at / TILE_WIDTH);
        if (tile.index !== index) {
          await pause();
          const width = tileWidth('entries', index, size);
          const bytes = await store.logTile({ level: 'entries', index, width });
          const entries = decodeEntries(bytes ?? new Uint8Array(0)) ?? [];
          tile = {
            index,
            entries: entries.map((content) => ({ content, leaf: parseLeaf(content)! })),
          };
        }
        return tile.entries[at % TILE_WIDTH]!;
      },
      inclusionProof: (index) => store.inclusionProof(index, size),
      read: async (path) => {
        await pause();
        const [kind, epoch] = path.split('/');
        return kind === 'verdicts'
          ? store.verdictRows(Number(epoch))
          : store.newEvidence(Number(epoch));
      },
    };
  }
}

class TooLong extends Error {}
