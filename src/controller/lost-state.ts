import { compareVersions } from '../contract/config.ts';
import type { EpochVersion } from './epoch.ts';
import type { ControllerEvent } from './events.ts';

const NOTHING: EpochVersion = { epoch: 0, version: 0 };

/** What this controller has signed and its state does not know: then it is a backup that was put back. */
export class LostState {
  private signed: EpochVersion | undefined;

  get isLost(): boolean {
    return this.signed !== undefined;
  }

  /** Whether a state that ends with `current` knows of an epoch with this controller's signature. */
  knows(signed: EpochVersion, current: EpochVersion = NOTHING): boolean {
    return compareVersions(signed, this.signed ?? current) <= 0;
  }

  /** The event of that, the first time. */
  learn(signed: EpochVersion, current: EpochVersion = NOTHING): ControllerEvent | undefined {
    const isFirst = !this.isLost;
    this.signed = signed;
    const { epoch, version } = current;
    const { epoch: signed_epoch, version: signed_version } = signed;
    if (!isFirst) return undefined;
    return { event: 'state_lost', epoch, version, signed_epoch, signed_version };
  }

  /** What to do; undefined while nothing is lost. */
  sentence(current: EpochVersion = NOTHING): string | undefined {
    if (this.signed === undefined) return undefined;
    return (
      `The state is a backup that was put back unannounced: it ends with epoch ${text(current)}, and ` +
      `this controller has signed ${text(this.signed)}. Nothing is decided or given out. Stop the ` +
      'controller, run: meshnet controller restored, and start it again.'
    );
  }
}

function text({ epoch, version }: EpochVersion): string {
  return `${epoch}.${version}`;
}
