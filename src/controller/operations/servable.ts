import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import type { EpochView } from '../epoch-view.ts';
import type { Governor } from '../governor.ts';
import type { EpochKeys } from '../psk.ts';
import type { Services } from '../services.ts';

/** The epoch whose keys may be given out, or why there is none. */
export function servable(governor: Governor): Checked<NonNullable<Governor['servable']>> {
  if (governor.servable) return accepted(governor.servable);
  return rejected('not_ready', { detail: governor.notReady ?? 'No config can be given out.' });
}

/** The same with what its header says; an epoch that has none is over soon. */
export function servableView({
  governor,
  views,
}: Services): Checked<{ readonly view: EpochView; readonly keys: EpochKeys }> {
  const now = servable(governor);
  if (!now.ok) return now;
  const { epoch, keys } = now.value;
  const view = views.of(epoch);
  const detail = 'The present epoch has no header; the next one will.';
  return view ? accepted({ view, keys }) : rejected('not_ready', { detail });
}
