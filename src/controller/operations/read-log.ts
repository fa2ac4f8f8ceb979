import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { parseTilePath } from '../../record/tiles.ts';
import type { Services } from '../services.ts';
import { type Caller, readersOnly } from './caller.ts';

/** The log's newest checkpoint, a signed note. */
export async function readCheckpoint(services: Services, caller: Caller): Promise<Checked<string>> {
  const allowed = readersOnly(services, caller);
  return allowed.ok ? accepted(await services.log.checkpoint()) : allowed;
}

/** The verifier key of the log's checkpoints, as tools are told it. */
export async function readLogKey(services: Services, caller: Caller): Promise<Checked<string>> {
  const allowed = readersOnly(services, caller);
  return allowed.ok ? accepted(await services.log.verifierKey()) : allowed;
}

/** A tile of the log by its path, such as `tile/0/000`. */
export async function readTile(
  services: Services,
  caller: Caller,
  path: string,
): Promise<Checked<Uint8Array>> {
  return readBytes(services, caller, async () => {
    const tile = parseTilePath(path);
    return tile && services.store.logTile(tile);
  });
}

/** The rows of an epoch's verdicts, one a line. */
export function readVerdictRows(
  services: Services,
  caller: Caller,
  epoch: number,
): Promise<Checked<Uint8Array>> {
  return readBytes(services, caller, () => services.store.verdictRows(epoch));
}

/** The scores that its rows name first, as they were signed, one a line. */
export function readEvidence(
  services: Services,
  caller: Caller,
  epoch: number,
): Promise<Checked<Uint8Array>> {
  return readBytes(services, caller, () => services.store.newEvidence(epoch));
}

async function readBytes(
  services: Services,
  caller: Caller,
  read: () => Promise<Uint8Array | undefined>,
): Promise<Checked<Uint8Array>> {
  const allowed = readersOnly(services, caller);
  if (!allowed.ok) return allowed;
  const bytes = await read();
  return bytes ? accepted(bytes) : rejected('not_found');
}
