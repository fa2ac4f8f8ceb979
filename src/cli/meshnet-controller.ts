import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import { systemClock } from '../agent/clock.ts';
import { KeyFileError, readKeyFile } from '../contract/key-file.ts';
import {
  type Controller,
  ControllerStartError,
  openState,
  startController,
} from '../controller/controller.ts';
import type { ServerCertificate } from '../controller/own-certificate.ts';
import { DEFAULT_POLICY } from '../controller/policy/default-policy.ts';
import { readPolicyFile } from '../controller/policy-file.ts';
import type { Witness } from '../controller/record/witness-client.ts';
import { announceRestoredIn } from '../controller/restored.ts';
import { completeSettings, type GivenSettings } from '../controller/settings.ts';
import { SettingsError } from '../controller/settings-error.ts';
import type { Subscriber } from '../controller/spine.ts';
import { keptPolicyIn } from '../controller/state-directory.ts';
import { historyLimits } from '../controller/store/history-limits.ts';
import type { EventReceiver } from '../controller/subscribers/security-events.ts';
import type { Webhook } from '../controller/subscribers/webhook.ts';
import { defaultProvider } from '../crypto/select.ts';
import type { DashboardAddress } from '../dashboard/dashboard.ts';
import { print } from './answer.ts';
import { openDashboard } from './controller-dashboard.ts';
import { controllerLog } from './controller-log.ts';
import { type Transport, type TransportOptions, transportOf } from './controller-transport.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { type LogOptions, warner } from './log-lines.ts';
import { ServiceManager, takeServiceEnvironment } from './service-manager.ts';
import { stopSignal } from './stop-signal.ts';
import { readTokenFile } from './token-file.ts';

/** Options of `meshnet controller`. */
export interface ControllerCommand extends TransportOptions, LogOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly metrics?: { readonly host: string; readonly port: number };
  readonly policy?: string;
  readonly epoch?: number;
  readonly threshold?: number;
  readonly freshness?: number;
  readonly tunnelPrefix?: string;
  readonly observeOnly?: boolean;
  readonly historyDays: number;
  readonly historyMegabytes: number;
  readonly dashboard?: DashboardAddress;
  readonly webhook?: readonly string[];
  readonly webhookSecret?: string;
  readonly securityEvents?: readonly string[];
  readonly securityEventsToken?: string;
  readonly witness?: readonly Witness[];
  readonly stopWithStdin?: boolean;
}

/** Runs a controller until it is told to stop. Its log is its output. */
export async function runController(options: ControllerCommand): Promise<void> {
  const warn = warner('meshnet controller');
  const manager = new ServiceManager(takeServiceEnvironment(process.env), systemClock, warn);
  const { source, ...transport } = transportOf(options);
  const signal = stopSignal({ withStdin: options.stopWithStdin ?? false, withStdout: false });
  const logger = controllerLog(options);
  const dashboard =
    options.dashboard && (await openDashboard(options.dashboard, transport.tls, logger));
  const controller = await start(options, transport, manager, logger).catch(
    async (error: unknown) => {
      await dashboard?.close();
      throw explain(error, options);
    },
  );
  await dashboard?.show(controller.services);
  const { emit } = controller.services;
  void transport.clients?.follow(
    controller.verifyClients,
    (detail) => emit({ event: 'clients_refused', detail }),
    systemClock,
    signal,
  );
  const useCertificate = (one: ServerCertificate) => {
    controller.useCertificate(one);
    dashboard?.useCertificate(one);
  };
  void source?.follow(useCertificate, warn, systemClock, signal);
  manager.ready(() => controller.services.governor.settled());
  if (!signal.aborted) await once(signal, 'abort');
  manager.stopping();
  await dashboard?.close();
  await controller.close();
  manager.close();
}

/** What the service manager shows of the controller. */
function statusLine(manager: ServiceManager): Subscriber {
  return {
    name: 'service_manager',
    events: ['epoch_committed'],
    handle: (event) => {
      if (event.event !== 'epoch_committed') return;
      manager.status(`epoch ${event.epoch}, ${event.members.length} members`);
    },
  };
}

async function start(
  options: ControllerCommand,
  transport: Omit<Transport, 'source'>,
  manager: ServiceManager,
  logger: Logger,
): Promise<Controller> {
  const settings = settingsOf(options);
  const webhooks = webhooksOf(options);
  const eventReceivers = eventReceiversOf(options);
  const { historyDays: days, historyMegabytes: megabytes } = options;
  const { epochS } = completeSettings(settings); // before anything is opened
  const history = historyLimits(epochS, { days, megabytes });
  return startController({
    state: openState(options.state, history),
    listen: options.listen,
    ...transport,
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
    settings,
    crypto: defaultProvider(),
    random: (length) => new Uint8Array(randomBytes(length)),
    logger,
    subscribers: [statusLine(manager)],
    webhooks,
    eventReceivers,
    ...(options.witness === undefined ? {} : { witnesses: options.witness }),
  });
}

function webhooksOf({ webhook: urls = [], webhookSecret }: ControllerCommand): Webhook[] {
  if (urls.length === 0) return [];
  if (webhookSecret === undefined) {
    throw new CommandError(EXIT.usage, 'usage', '--webhook needs --webhook-secret FILE');
  }
  const secret = readKeyFile(webhookSecret);
  return urls.map((url) => ({ url, secret }));
}

const BEARER = /^[A-Za-z0-9._~+/-]+=*$/;

function eventReceiversOf({
  securityEvents: urls = [],
  securityEventsToken: file,
}: ControllerCommand): EventReceiver[] {
  const bearer = readTokenFile(file, '--security-events-token');
  if (bearer !== undefined && !BEARER.test(bearer)) {
    const expected = `--security-events-token ${file}: expected a bearer token (RFC 6750)`;
    throw new CommandError(EXIT.usage, 'usage', expected);
  }
  return urls.map((url) => ({ url, ...(bearer === undefined ? {} : { bearer }) }));
}

/** The policy file or the default, and what the command line says over it, for all suites. */
function settingsOf(options: ControllerCommand): GivenSettings {
  const file = policyOf(options);
  return {
    ...file,
    ...(options.epoch === undefined ? {} : { epochS: options.epoch }),
    ...overSuites(file, options),
    ...(options.tunnelPrefix === undefined ? {} : { tunnelPrefix: options.tunnelPrefix }),
    ...(options.observeOnly === undefined ? {} : { observeOnly: options.observeOnly }),
  };
}

/** The file that is named, else what an admin set last, else the default. */
function policyOf({ policy, state }: ControllerCommand): GivenSettings {
  const kept = keptPolicyIn(state);
  if (policy !== undefined) return readPolicyFile(policy);
  return existsSync(kept) ? readPolicyFile(kept) : DEFAULT_POLICY;
}

function overSuites(
  { suites, groups }: GivenSettings,
  { threshold, freshness: freshnessS }: ControllerCommand,
): GivenSettings {
  const given = {
    ...(threshold === undefined ? {} : { threshold }),
    ...(freshnessS === undefined ? {} : { freshnessS }),
  };
  const over = {
    ...(threshold === undefined ? {} : { threshold }),
    ...(freshnessS === undefined ? {} : { maxAgeS: freshnessS }),
  };
  return {
    ...given,
    ...(suites === undefined ? {} : { suites: suites.map((one) => ({ ...one, ...over })) }),
    ...(groups === undefined
      ? {}
      : {
          groups: groups.map((group) => ({
            ...group,
            suites: group.suites.map((one) => ({ ...one, ...over })),
          })),
        }),
  };
}

type ListenError = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number };

function explain(error: unknown, options: ControllerCommand): unknown {
  if (error instanceof KeyFileError) return new CommandError(EXIT.keys, 'key_file', error.message);
  if (error instanceof SettingsError) {
    return new CommandError(EXIT.usage, 'invalid_setting', error.message);
  }
  if (error instanceof ControllerStartError) {
    return new CommandError(EXIT.failed, 'cannot_start', `--state: ${error.message}`);
  }
  const { code, syscall, path, address, port } = error as ListenError;
  if (syscall === 'listen' || syscall === 'bind') {
    const { listen, metrics } = options;
    const isMetrics = metrics !== undefined && metrics.port === port && metrics.host === address;
    const [option, at] = isMetrics
      ? (['--metrics', metrics] as const)
      : (['--listen', listen] as const);
    const where = `${option} ${at.host}:${at.port}`;
    return new CommandError(EXIT.failed, 'cannot_listen', `${where}: ${code}`);
  }
  if (path !== undefined) {
    return new CommandError(EXIT.failed, 'cannot_start', `--state: ${path}: ${code}`);
  }
  return error;
}

/** `meshnet controller restored`. */
export async function announce(options: {
  readonly state: string;
  readonly json?: boolean;
}): Promise<void> {
  const epoch = await announceRestoredIn(options.state, Date.now()).catch((error: unknown) => {
    if (!(error instanceof ControllerStartError)) throw error;
    throw new CommandError(EXIT.failed, 'cannot_start', error.message);
  });
  const { epoch: number, version } = epoch ?? { epoch: 0, version: 0 };
  const text =
    epoch === undefined
      ? 'there was no epoch yet: nothing to jump ahead of'
      : `epoch ${number}.${version}: start the controller; nodes enrolled or removed since the backup are forgotten`;
  print(options, { epoch: number, version }, text);
}
