import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { openState, startController } from '../../src/controller/controller.ts';
import type { GivenSettings } from '../../src/controller/settings.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { monotonicMs } from '../lab/clock.ts';
import { listen, partOptions, say } from './part.ts';

/** A controller that says when each epoch's commit came back from the disk. */
export interface ControllerPart {
  readonly state: string;
  readonly host: string;
  readonly port: number;
  readonly settings: GivenSettings;
}

// Measured where SQLite returns from COMMIT, which with synchronous=FULL is after its fsync; what
// the controller does after that counts.
let committedAt = 0;
/** When the last stream's bytes were with the system. */
let pushedAt = 0;
/** Processor time of writing to all streams, ms. */
let pushCpuMs = 0;
const { exec } = DatabaseSync.prototype;
DatabaseSync.prototype.exec = function timed(this: DatabaseSync, sql: string): void {
  exec.call(this, sql);
  if (sql.startsWith('COMMIT')) committedAt = monotonicMs();
};

const options = partOptions<ControllerPart>();
const controller = await startController({
  state: openState(options.state),
  listen: { host: options.host, port: options.port },
  settings: options.settings,
  crypto: defaultProvider(),
  random: (length) => new Uint8Array(randomBytes(length)),
  onEvent: (event) => {
    if (event.event !== 'epoch_committed') return;
    const { epoch, version, removed } = event;
    const at = committedAt;
    // After the event has left: telling us is no part of what is measured.
    setImmediate(() => say({ committed: epoch, version, at, pushedAt, pushCpuMs, removed }));
  },
});
const { streams } = controller.services;
const publish = streams.publish.bind(streams);
streams.publish = (...parameters) => {
  const before = process.cpuUsage();
  const envelope = publish(...parameters);
  pushedAt = monotonicMs();
  pushCpuMs = cpuMs(before);
  return envelope;
};
say({ listening: controller.url });
listen(
  ({ id }) => say({ id, cpuMs: cpuMs() }),
  () => void controller.close(),
);

function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}
