// npm run prove -- epoch: what an epoch costs the controller and a member, and how many bytes each gets.

import { programOptions } from '../lab/programs.ts';
import { epochCost } from './epoch-cost-run.ts';
import { observeMachine } from './priority.ts';

const values = programOptions({
  members: { type: 'string', default: '1000,10000' },
  changes: { type: 'string', default: '20' },
  json: { type: 'boolean', default: false },
});
const machine = observeMachine();
const rows = [];
for (const members of values.members.split(',').map(Number)) {
  rows.push(await epochCost(members, Number(values.changes)));
}
process.stdout.write(
  `${JSON.stringify({ rows, machine: machine() }, null, values.json ? 0 : 2)}\n`,
);
