import { randomBytes } from 'node:crypto';
import { systemClock } from '../agent/clock.ts';
import { ControllerClient } from '../agent/controller-client.ts';
import { controllerFetch } from '../agent/controller-fetch.ts';
import { defaultProvider } from '../crypto/select.ts';

const TIMEOUT_MS = 10_000;

/** A client of the controller at `url`, for one command; `meshId`: of the mesh that it must be of. */
export function networkClient(url: string, meshId: Uint8Array | undefined): ControllerClient {
  const crypto = defaultProvider();
  const client = new ControllerClient({
    fetch: controllerFetch(crypto),
    clock: systemClock,
    crypto,
    random: (length) => new Uint8Array(randomBytes(length)),
    url,
    timeoutMs: TIMEOUT_MS,
  });
  if (meshId !== undefined) client.belongTo(meshId);
  return client;
}
