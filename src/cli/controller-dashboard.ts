import type { Logger } from 'pino';
import { ownCertificate, ownNames, type ServerCertificate } from '../controller/own-certificate.ts';
import type { Services } from '../controller/services.ts';
import { controllerSource } from '../dashboard/controller-source.ts';
import { type DashboardAddress, startDashboard } from '../dashboard/dashboard.ts';
import { EpochLog, MAX_MARKS } from '../dashboard/epoch-log.ts';
import { recordedBrakes, recordedPolicies } from '../dashboard/recorded-marks.ts';
import { version } from '../ground/version.ts';
import { isLoopback, type Transport } from './controller-transport.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/** Verdicts that are read back at the start: fewer epochs where there are more nodes. */
const MAX_SEEDED = 200_000;
const MAX_SEEDED_EPOCHS = 1000;

/**
 * Opens the dashboard's port, so that one that is taken is known before anything is decided. Beyond
 * loopback it speaks TLS: with the controller's certificate, or else with the mesh's own.
 */
export async function openDashboard(
  listen: DashboardAddress,
  given: Transport['tls'],
  logger: Logger,
) {
  const onError = (error: unknown) => logger.error({ err: error }, 'the dashboard could not read');
  const isHere = 'path' in listen || isLoopback(listen.host);
  const certificate = typeof given === 'object' ? given : undefined;
  const tls = isHere ? {} : { tls: certificate === undefined ? {} : { certificate } };
  const dashboard = await startDashboard({ listen, ...tls, onError }).catch((error: unknown) => {
    const where = 'path' in listen ? listen.path : `${listen.host}:${listen.port}`;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CommandError(
      EXIT.failed,
      'cannot_listen',
      `--dashboard ${where}: ${code ?? message}`,
    );
  });
  logger.info({ url: dashboard.url }, `dashboard at ${dashboard.url}`);
  return {
    async show(services: Services): Promise<void> {
      const log = new EpochLog(() => services.streams.lastPush);
      services.spine.subscribe(log);
      const epochs = Math.ceil(MAX_SEEDED / Math.max(1, services.directory.nodes.size));
      if (!isHere && certificate === undefined) {
        const { crypto, signingSeed, clock } = services;
        const names = ownNames(listen.host);
        dashboard.useCertificate(ownCertificate(crypto, signingSeed, names, clock.now()));
      }
      const { store } = services;
      const verdicts = await store.recentVerdicts(Math.min(epochs, MAX_SEEDED_EPOCHS));
      const policies = await recordedPolicies(store, MAX_MARKS);
      log.seed(verdicts, [...policies, ...recordedBrakes(verdicts)]);
      dashboard.show(controllerSource(services, log, version()));
    },
    useCertificate(one: ServerCertificate): void {
      if (!isHere) dashboard.useCertificate(one);
    },
    close: () => dashboard.close(),
  };
}
