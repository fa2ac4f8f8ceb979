// npm run prove -- fanout: how long after an epoch's commit have 10, 100, 1,000 agents heard of it?

import { programOptions } from '../lab/programs.ts';
import { type FanoutResult, measureFanout } from './fanout-run.ts';
import { observeMachine } from './priority.ts';

const values = programOptions({
  agents: { type: 'string', default: '10,100,1000' },
  rounds: { type: 'string' },
  sealed: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
});

/** Enough epochs for a p99 where agents are few, not an hour where they are many. */
const roundsFor = (agents: number) => Math.max(2, Math.min(20, Math.round(400 / agents)));

const machine = observeMachine();
const results: FanoutResult[] = [];
for (const text of values.agents.split(',')) {
  const agents = Number(text);
  const rounds = values.rounds === undefined ? roundsFor(agents) : Number(values.rounds);
  const processes = agents > 10 ? 2 : 1;
  results.push(await measureFanout({ agents, rounds, processes, sealed: values.sealed }));
  if (process.stderr.isTTY) process.stderr.write(`${agents} agents done\n`);
}
const output = { results, machine: machine() };
process.stdout.write(`${JSON.stringify(output, null, values.json ? 0 : 2)}\n`);
