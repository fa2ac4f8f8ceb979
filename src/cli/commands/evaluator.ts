import { type Command, Option } from 'commander';
import { evaluatorKey, scoreFrom, seconds } from './options.ts';

const names = (value: string, before: readonly string[] = []) => [...before, ...value.split(',')];

/** `meshnet evaluator`. */
export function declareEvaluator(program: Command): void {
  evaluatorKey(scoreFrom(program.command('evaluator')))
    .description('watch what harnesses leave about many nodes, and report it as an evaluator')
    .option('--node <name>', 'only of these nodes; can be repeated', names)
    .option('--suite <name>', 'suite of a --score-from that names none', 'alignment')
    .option('--interval <seconds>', 'time between two looks', seconds, 10)
    .option('--stop-with-stdin', 'stop when standard input ends')
    .addOption(new Option('--json', 'one JSON event per line'))
    .addHelpText(
      'after',
      `
{node} in PLACE or WHAT stands for the name of a node, as in
  --score-from red-team=garak:results/{node}.report.jsonl
  --score-from 'latency=prometheus:http://127.0.0.1:9090#avg_over_time(up{job="{node}"}[5m])'
Files are looked for; for a URL, or {node} in WHAT alone, --node names the nodes.`,
    )
    .action(async (options) => {
      const { runEvaluator } = await import('../meshnet-evaluator.ts');
      await runEvaluator(options);
    });
}
