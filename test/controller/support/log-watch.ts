import { readLog } from '../../../src/cli/read-log.ts';
import { toBase64 } from '../../../src/contract/encoding.ts';
import { signedScores, signingKeys } from '../../../src/contract/record/evidence.ts';
import { keysOfLog } from '../../../src/controller/record/log-keys.ts';
import { Replay } from '../../../src/controller/record/replay.ts';
import { nodeProvider as crypto } from '../../../src/crypto/node.ts';

/** Follows the log of a controller as an auditor does that never lets go of what it has seen. */
export class LogWatch {
  leaves = 0;
  private readonly url: () => string;
  private readonly mesh: string;
  private readonly replay: Replay;
  private seen: { readonly size: number; readonly root: string } = { size: 0, root: '' };

  /** `url`: of the controller. */
  constructor(url: () => string, meshId: Uint8Array) {
    this.url = url;
    this.mesh = toBase64(meshId);
    this.replay = new Replay(crypto, meshId);
  }

  /** Reads the log and goes on with what is new. Everything that is wrong, in words. */
  async look(): Promise<string[]> {
    const { checkpoint, tree, leaves, read } = await readLog(this.url(), {
      socket: '',
      mesh: this.mesh,
    });
    const { size, root } = this.seen;
    if (checkpoint.size < size)
      return [`the log went back from ${size} to ${checkpoint.size} leaves`];
    if (size > 0 && toBase64(tree.root(size)) !== root) return [`another log of ${size} leaves`];
    this.seen = { size: checkpoint.size, root: toBase64(checkpoint.root) };
    const before = this.replay.findings.length;
    const keys = signingKeys(crypto, keysOfLog(leaves));
    for (const [index, leaf] of leaves.entries()) {
      if (index < size) continue;
      await this.replay.leaf(index, leaf, async (epoch) => {
        const [rows, evidence] = [await read(`verdicts/${epoch}`), await read(`evidence/${epoch}`)];
        const [scores = []] = signedScores(crypto, evidence ? [evidence] : [], keys);
        return { rows, scores };
      });
    }
    this.leaves = leaves.length;
    const { withoutRows, withoutEvidence } = this.replay.tally;
    const missing = withoutRows + withoutEvidence;
    return [
      ...this.replay.findings.slice(before).map((one) => JSON.stringify(one)),
      ...(missing > 0 ? [`${missing} rows or scores are missing`] : []),
    ];
  }

  /** Verdicts that were made again and came out the same. */
  get confirmed(): number {
    return this.replay.tally.confirmed;
  }
}
