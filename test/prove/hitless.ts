// npm run prove -- hitless: what do TCP and UDP between two members notice of 100 rotations on real TUNs?

import { programOptions } from '../lab/programs.ts';
import { measureHitless } from './hitless-run.ts';
import { observeMachine } from './priority.ts';

const values = programOptions({
  rotations: { type: 'string', default: '100' },
  epoch: { type: 'string', default: '2' },
  rates: { type: 'string', default: '500,1000,2000,4000,8000,16000' },
  size: { type: 'string', default: '1200' },
  json: { type: 'boolean', default: false },
});
const machine = observeMachine();
const result = await measureHitless({
  rotations: Number(values.rotations),
  epochS: Number(values.epoch),
  rates: values.rates.split(',').map(Number),
  trialS: 5,
  size: Number(values.size),
  progress: (what) => process.stderr.write(`${what}\n`),
});
process.stdout.write(
  `${JSON.stringify({ ...result, machine: machine() }, null, values.json ? 0 : 2)}\n`,
);
process.exitCode = result.passed ? 0 : 1;
