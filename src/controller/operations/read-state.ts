import type { EpochDocument, EpochPage } from '../../contract/epoch.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { controllerMetrics } from '../metrics.ts';
import { keySet } from '../security-event.ts';
import type { Services } from '../services.ts';
import type { Caller } from './caller.ts';
import { readersOnly } from './readers.ts';

/** Who is in, who is out, and why: all nodes, or a page of them. */
export async function readEpoch(
  services: Services,
  caller: Caller,
  page: EpochPage = {},
): Promise<Checked<EpochDocument>> {
  const allowed = await readersOnly(services, caller);
  return allowed.ok ? accepted(await services.documents.page(page)) : allowed;
}

/** Text for Prometheus. */
export async function readMetrics(services: Services, caller: Caller): Promise<Checked<string>> {
  const allowed = await readersOnly(services, caller);
  return allowed.ok ? accepted(await controllerMetrics(services)) : allowed;
}

/** The epoch in force, if epochs are being decided. For everybody. */
export function readReadiness({ governor }: Services): Checked<{ readonly epoch: number }> {
  const { notReady: detail, current } = governor;
  if (detail !== undefined) return rejected('not_ready', { detail });
  return accepted({ epoch: current?.epoch ?? 0 });
}

/** The public key that Security Event Tokens are signed with, a JWK Set. For everybody. */
export function readKeySet({ crypto, signingSeed }: Services): object {
  return keySet(crypto, signingSeed);
}
