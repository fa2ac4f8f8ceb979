import type { BrakeReleased } from '../contract/admin.ts';
import type { EpochDocument } from '../contract/epoch.ts';
import { adminCall } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { listed } from './listed.ts';

/** `meshnet policy brake`. */
export async function showBrake(options: AdminOptions): Promise<void> {
  const { brake, now } = await adminCall<EpochDocument>(options, 'GET', '/v1/epoch');
  print(options, brake, brakeText(brake, now));
}

/** `meshnet policy brake --release`. */
export async function releaseBrake(options: AdminOptions): Promise<void> {
  const answer = await adminCall<BrakeReleased>(options, 'POST', '/v1/brake/release');
  const { epoch, version, removed } = answer;
  print(
    options,
    answer,
    `released: ${removed.length} members are out with epoch ${epoch}.${version}: ${listed(removed)}`,
  );
}

function brakeText(brake: EpochDocument['brake'], now: number): string {
  if (!brake) return 'the brake holds nobody';
  const { phase, held, until, cut } = brake;
  const left =
    until === null ? '' : ` for another ${Math.max(0, Math.ceil((until - now) / 1000))} s`;
  const how =
    phase === 'frozen' ? `frozen: nobody is cut${left}` : `capped: the worst ${cut} are cut`;
  return [
    how,
    `${held.length} members stay only because of it: ${listed(held)}`,
    'if they have really failed: meshnet policy brake --release; if not, mend what they have in common',
  ].join('\n');
}
