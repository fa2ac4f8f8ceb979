import type { WitnessRule } from '../settings.ts';

/** A witness, and how far behind its last cosignature is. */
export interface WitnessProgress {
  readonly witness: string;
  /** Leaves of the last checkpoint that it cosigned since the start; 0: none. */
  readonly leaves: number;
  /** Epochs since it cosigned the newest; since the start where it has cosigned nothing. */
  readonly behind: number;
}

/** Counts epochs and cosignatures: whether as many witnesses keep up as the policy asks for. */
export class Cosigning {
  readonly rule: WitnessRule | null;
  private epochs = 0;
  private readonly last: Map<string, { readonly epochs: number; readonly leaves: number }>;

  /** `names`: of the witnesses that are asked. */
  constructor(names: readonly string[], rule: WitnessRule | null) {
    this.rule = rule;
    this.last = new Map(names.map((name) => [name, { epochs: 0, leaves: 0 }]));
  }

  /** Called when an epoch is on the disk. */
  committed(): void {
    this.epochs++;
  }

  /** Asks a witness: what it cosigns then covers the epochs until now. `ask` gives its leaves. */
  async asked(name: string, ask: () => Promise<number>): Promise<void> {
    const { epochs } = this;
    this.last.set(name, { epochs, leaves: await ask() });
  }

  get progress(): readonly WitnessProgress[] {
    return [...this.last].map(([witness, { epochs, leaves }]) => ({
      witness,
      leaves,
      behind: this.epochs - epochs,
    }));
  }

  /** What the policy asks for and is not so, in a sentence. */
  get fault(): string | undefined {
    if (this.rule === null) return undefined;
    const { needed, withinEpochs } = this.rule;
    const { progress } = this;
    const many = progress.filter((one) => one.behind <= withinEpochs).length;
    if (many >= needed) return undefined;
    return `Of ${progress.length} witnesses ${many} cosigned the log within ${withinEpochs} epochs, and ${needed} must.`;
  }

  /** The same where the policy is binding: then nothing is given out that would let anybody stay. */
  get bar(): string | undefined {
    return this.rule?.isBinding === true ? this.fault : undefined;
  }
}
