import { type Command, Option } from 'commander';
import {
  DEFAULT_HISTORY_DAYS,
  DEFAULT_HISTORY_MEGABYTES,
} from '../../controller/store/history-limits.ts';
import { dashboardAddress, hostAndPort, hostNames, httpUrl, numberBetween } from '../numbers.ts';
import { witnesses } from '../witness-option.ts';
import { controllerState, json, logging, seconds, share } from './options.ts';

const webhookUrls = (url: string, before: readonly string[] = []) => [...before, httpUrl(url)];

/** `meshnet controller`. */
export function declareController(program: Command): void {
  const controller = program
    .command('controller')
    .enablePositionalOptions()
    .description('decide every epoch who may stay, and hand out the keys')
    .option('--state <dir>', 'database, key and admin socket', controllerState)
    .addOption(
      new Option('--listen <address>', 'where nodes reach it')
        .argParser(hostAndPort)
        .default({ host: '127.0.0.1', port: 8440 }, '127.0.0.1:8440'),
    )
    .option('--tls-cert <file>', 'certificate (PEM) to serve with; read again when it changes')
    .option('--tls-key <file>', 'and its private key')
    .option('--client-ca <file>', 'authority (PEM) of client certificates, to administer with')
    .option('--client-roles <file>', 'and their roles by common name, e.g. {"desk": "operate"}')
    .option('--client-crl <file>', 'lists (PEM) of those that the authority has revoked')
    .option('--acme <name>', 'get a certificate for this host name; can be repeated', hostNames)
    .option('--acme-accept-terms', "with it: the authority's terms are agreed to")
    .option('--acme-email <address>', 'where the authority writes to')
    .addOption(
      new Option('--acme-directory <url>', 'the authority')
        .argParser(httpUrl)
        .default('https://acme-v02.api.letsencrypt.org/directory', "Let's Encrypt"),
    )
    .addOption(
      new Option('--acme-http <address>', 'where it asks: port 80 of the name must lead here')
        .argParser(hostAndPort)
        .default({ host: '0.0.0.0', port: 80 }, '0.0.0.0:80'),
    )
    .option('--insecure-http', 'plain HTTP, beyond this machine, too')
    .option('--behind-proxy <address>', 'plain HTTP for the reverse proxy at this address alone')
    .addOption(
      new Option('--metrics <address>', 'serve metrics and status, e.g. 127.0.0.1:9587').argParser(
        hostAndPort,
      ),
    )
    .option('--policy <file>', 'JSON file with thresholds, suites, signers and times')
    .option('--epoch <seconds>', 'length of an epoch', seconds)
    .option('--threshold <score>', 'lowest score of a member', share)
    .option('--freshness <seconds>', 'oldest score of a member', seconds)
    .option('--tunnel-prefix <prefix>', 'addresses inside the mesh, IPv4')
    .option('--observe-only', 'compute and show verdicts, cut nobody: how to start in production')
    .option(
      '--history-days <days>',
      'how long scores and verdicts are kept',
      numberBetween(0, 36_500),
      DEFAULT_HISTORY_DAYS,
    )
    .option(
      '--history-megabytes <size>',
      'the oldest go earlier while the database is larger',
      numberBetween(1, 1e6),
      DEFAULT_HISTORY_MEGABYTES,
    )
    .option(
      '--webhook <url>',
      'tell this URL of every change of a verdict; can be repeated',
      webhookUrls,
    )
    .option('--webhook-secret <file>', 'key file of their signatures (32 bytes, base64, mode 0600)')
    .option(
      '--security-events <url>',
      'push Security Event Tokens (RFC 8417) there; can be repeated',
      webhookUrls,
    )
    .option('--security-events-token <file>', 'bearer token that the receivers ask for')
    .option('--witness <who>', "who cosigns the log, 'KEY URL'; can be repeated", witnesses)
    .addOption(
      new Option('--dashboard [address]', 'serve a page that shows the mesh')
        .argParser(dashboardAddress)
        .preset('127.0.0.1:8441'),
    )
    .option('--stop-with-stdin', 'stop when standard input ends')
    .action(async (options) => {
      const { runController } = await import('../meshnet-controller.ts');
      await runController(options);
    })
    .addHelpText(
      'after',
      `
Beyond loopback it speaks TLS: with the certificate that is given, or with one of its own, which
nodes know by their join token. So does its page, where one signs in with an access token.`,
    );
  logging(controller, 'info');
  controller
    .command('restored')
    .description(
      'say that the state is a backup: epoch and version jump ahead. Before the start, once',
    )
    .option('--state <dir>', 'database, key and admin socket', controllerState)
    .addOption(json())
    .action(async (options) => {
      const { announce } = await import('../meshnet-controller.ts');
      await announce(options);
    });
}
