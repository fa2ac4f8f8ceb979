import { systemClock } from '../../../../src/agent/clock.ts';
import { KeptRuns } from '../../../../src/agent/harness/kept-runs.ts';

/** As a node does: looks, begins a run, and waits to be killed. Parameters: command, file. */
const [, , command, file] = process.argv;
const runs = new KeptRuns(command!, {
  file: file!,
  timeoutMs: 60_000,
  intervalMs: 3_600_000,
  clock: systemClock,
  user: null,
});
await runs.source(new AbortController().signal);
process.stdout.write('begun\n');
setInterval(() => {}, 1000);
