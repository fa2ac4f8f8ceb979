// relay ADDRESS PORT TARGET TARGET_PORT OPTIONS: an impairing relay until SIGTERM.
import { type ImpairmentOptions, Relay } from '../../lab/relay.ts';
import { argument, ready, report } from './report.ts';

const relay = new Relay(JSON.parse(argument(4)) as ImpairmentOptions);
await relay.start(
  { address: argument(0), port: Number(argument(1)) },
  { address: argument(2), port: Number(argument(3)) },
);
process.on('SIGTERM', () => {
  report(relay.counts);
  process.exit(0);
});
ready();
