import { type DemoOutput, runDemo as run } from '../demo/demo.ts';
import { changeVerb, type Summary } from '../demo/model.ts';
import { coloursWanted, jsonOutput, liveOutput, plainOutput } from '../demo/outputs.ts';
import type { ScenarioName } from '../demo/scenario.ts';
import { adminCall } from './admin-client.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { stopSignal } from './stop-signal.ts';
import { table } from './table.ts';

export interface DemoCommandOptions {
  readonly epoch: number;
  readonly duration?: number;
  readonly scenario: ScenarioName;
  readonly userspace?: boolean;
  readonly json?: boolean;
}

/** `meshnet demo`. */
export async function runDemo(options: DemoCommandOptions): Promise<void> {
  const stop = stopSignal({ withStdin: false, withStdout: true });
  const result = await run(
    {
      epoch: options.epoch,
      duration: options.duration,
      scenario: options.scenario,
      userspace: options.userspace === true,
      meshnet: [process.execPath, ...process.execArgv, process.argv[1]!],
      ask: (socket, method, path, body) => adminCall({ socket }, method, path, body),
      output: outputFor(options),
    },
    stop,
  );
  const { summary, failure } = result;
  process.stdout.write(`${options.json ? JSON.stringify(summary) : summaryText(summary)}\n`);
  if (failure !== undefined) throw new CommandError(EXIT.failed, 'part_failed', failure);
  if (summary.leaks > 0) {
    const message = `${summary.leaks} packets passed to or from a denied node`;
    throw new CommandError(EXIT.failed, 'leak', message);
  }
}

function outputFor(options: DemoCommandOptions): DemoOutput {
  const terminal = {
    write: (text: string) => void process.stdout.write(text),
    get columns() {
      return process.stdout.columns ?? 120;
    },
    get rows() {
      return process.stdout.rows ?? 50;
    },
  };
  if (options.json) return jsonOutput(terminal);
  if (process.stdout.isTTY) return liveOutput(terminal, coloursWanted(process.env.NO_COLOR));
  return plainOutput(terminal);
}

function summaryText(summary: Summary): string {
  const pairs = Object.entries(summary.packets).map(([name, { sent, received }]) => [
    name.replace('>', ' to '),
    `${received} of ${sent} echoes answered`,
  ]);
  const changes = summary.changes.map((change) => [
    `epoch ${change.epoch}`,
    change.node,
    changeVerb(change),
    change.explanation,
  ]);
  return [
    `members: ${summary.members.join(' ') || 'nobody'}; denied: ${summary.denied.join(' ') || 'nobody'}`,
    ...Object.entries(summary.why).map(([node, why]) => `${node} is out: ${why}`),
    `${summary.rotations} rotations, ${summary.exclusions} exclusions, ${summary.leaks} packets past a denial`,
    '',
    table(pairs),
    '',
    table(changes),
  ].join('\n');
}
