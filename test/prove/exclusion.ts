// npm run prove -- exclusion: how long after an epoch's commit is a denied node still heard or spoken to?

import { programOptions } from '../lab/programs.ts';
import { measureExclusions } from './exclusion-run.ts';
import { observeMachine } from './priority.ts';

const values = programOptions({
  /** Default 300, of a mixed mesh 100. */
  count: { type: 'string' },
  /** One member is the official wireguard-go behind the agent, which is killed at the end. */
  foreign: { type: 'boolean', default: false },
  kills: { type: 'string', default: '10' },
  'no-push': { type: 'boolean', default: false },
  poll: { type: 'string', default: '10' },
  rate: { type: 'string', default: '500' },
  json: { type: 'boolean', default: false },
});
const progress = (done: number, of: number) => {
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${of} exclusions`);
};
const machine = observeMachine();
const result = await measureExclusions({
  count: Number(values.count ?? (values.foreign ? 100 : 300)),
  foreign: values.foreign,
  kills: values.foreign ? Number(values.kills) : 0,
  push: !values['no-push'],
  pollMs: Number(values.poll) * 1000,
  rate: Number(values.rate),
  progress,
});
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
process.stdout.write(
  `${JSON.stringify({ ...result, machine: machine() }, null, values.json ? 0 : 2)}\n`,
);
process.exitCode = result.passed ? 0 : 1;
