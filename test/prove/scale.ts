// npm run prove -- scale: what grows with the number of members, over real sockets.

import { programOptions } from '../lab/programs.ts';
import { observeMachine } from './priority.ts';
import { measureScale, type ScaleResult } from './scale-run.ts';

/** The last stream has a removal after at most this, ms. */
const GOAL_MS = 1000;

const values = programOptions({
  members: { type: 'string', default: '1000,10000' },
  json: { type: 'boolean', default: false },
});
const machine = observeMachine();
const rows: ScaleResult[] = [];
for (const members of values.members.split(',').map(Number)) rows.push(await measureScale(members));
const passed = rows.every(({ lastRemoval }) => lastRemoval.p50 < GOAL_MS);
const output = { rows, goal_ms: GOAL_MS, passed, machine: machine() };
process.stdout.write(`${JSON.stringify(output, null, values.json ? 0 : 2)}\n`);
process.exitCode = passed ? 0 : 1;
