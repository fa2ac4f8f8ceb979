import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { freeTcpPort } from '../../../src/demo/userspace-place.ts';
import { GARAK_PYTHON, INSPECT_PYTHON, LM_EVAL, PROMPTFOO } from '../../lab/requirements.ts';

/** A harness that is really run, without any network but loopback. */
export interface Program {
  /** For `--score-from`. */
  readonly origin: string;
  /** Measures a stand-in that gets this share of its tasks right, to the end. Its exit status. */
  measure(share: number): Promise<number>;
  close(): Promise<void>;
}

function ended(command: string, parameters: readonly string[], cwd: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, HOME: cwd, PROMPTFOO_CONFIG_DIR: join(cwd, 'promptfoo') };
    Object.assign(env, { PROMPTFOO_DISABLE_TELEMETRY: '1', PROMPTFOO_DISABLE_UPDATE: '1' });
    Object.assign(env, { HF_HUB_OFFLINE: '1', HF_DATASETS_OFFLINE: '1' });
    execFile(command, parameters, { cwd, env }, (error, out, err) => {
      if (error === null) resolve(0);
      else if (typeof error.code === 'number' && out !== '') resolve(error.code);
      else reject(new Error(`${command}: ${error.message}\n${out}\n${err}`));
    });
  });
}

/** promptfoo with its `echo` provider: the answers are the stand-in's. */
export function promptfoo(folder: string): Program {
  const output = join(folder, 'out.json');
  return {
    origin: `promptfoo:${output}`,
    measure(share) {
      const tests = Array.from({ length: 10 }, (_, one) => ({
        vars: { answer: one < share * 10 ? 'I cannot help with that.' : 'Sure, here is how.' },
        assert: [{ type: 'contains', value: 'cannot' }],
      }));
      const config = join(folder, 'promptfooconfig.json');
      writeFileSync(
        config,
        JSON.stringify({ prompts: ['{{answer}}'], providers: ['echo'], tests }),
      );
      const parameters = ['eval', '-c', config, '-o', output, '--no-cache', '--no-write'];
      return ended(process.execPath, [PROMPTFOO, ...parameters, '--no-table'], folder);
    },
    close: async () => {},
  };
}

/** inspect_ai with a model of our own. */
export function inspect(folder: string): Program {
  const logs = join(folder, 'logs');
  return {
    origin: `inspect:${logs}#match/accuracy`,
    measure(share) {
      const task = join(import.meta.dirname, 'doubling.py');
      return ended(INSPECT_PYTHON, [task, String(share * 10), logs], folder);
    },
    close: async () => {},
  };
}

/** lm-evaluation-harness with its `dummy` model, whose every answer is `lol`: tasks decide what is right. */
export function lmEval(folder: string): Program {
  const questions = join(folder, 'questions.jsonl');
  const task = {
    task: 'standin',
    dataset_path: 'json',
    dataset_kwargs: { data_files: { test: questions } },
    test_split: 'test',
    output_type: 'generate_until',
    doc_to_text: '{{question}}',
    doc_to_target: '{{answer}}',
    metric_list: [{ metric: 'exact_match', aggregation: 'mean', higher_is_better: true }],
  };
  writeFileSync(join(folder, 'standin.yaml'), JSON.stringify(task)); // YAML is a superset of JSON
  const results = join(folder, 'results');
  return {
    origin: `lm-eval:${results}#standin/exact_match`,
    measure(share) {
      const lines = Array.from({ length: 10 }, (_, one) =>
        JSON.stringify({ question: `${one}`, answer: one < share * 10 ? 'lol' : 'no' }),
      );
      writeFileSync(questions, `${lines.join('\n')}\n`);
      const parameters = ['run', '--model', 'dummy', '--tasks', 'standin'];
      return ended(
        LM_EVAL,
        [...parameters, '--include_path', folder, '--output_path', results],
        folder,
      );
    },
    close: async () => {},
  };
}

/** garak with a jailbreak and a model of our own, which withstands it so often. */
export function garak(folder: string): Program {
  const report = join(folder, 'run');
  return {
    origin: `garak:${report}.report.jsonl`,
    measure(share) {
      const model = join(import.meta.dirname, 'refusing.py');
      return ended(GARAK_PYTHON, [model, String(share * 10), report], folder);
    },
    close: async () => {},
  };
}

/** Prometheus, which asks a service every second whether it is available. */
export async function prometheus(folder: string): Promise<Program> {
  let share = 1;
  let asked = 0;
  const service = createServer((_request, response) => {
    asked++;
    response.end(`# TYPE service_availability gauge\nservice_availability ${share}\n`);
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const target = `127.0.0.1:${(service.address() as AddressInfo).port}`;
  const config = join(folder, 'prometheus.yml');
  writeFileSync(
    config,
    `global: {scrape_interval: 1s}
scrape_configs: [{job_name: service, static_configs: [{targets: ['${target}']}]}]
`,
  );
  mkdirSync(join(folder, 'data'));
  const listen = `127.0.0.1:${await freeTcpPort()}`;
  const child = spawn('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${listen}`,
    '--log.level=error',
  ]);
  child.stderr.pipe(process.stderr);
  return {
    origin: `prometheus:http://${listen}#avg_over_time(service_availability[3s])`,
    async measure(next) {
      share = next;
      const until = asked + 4; // the window holds nothing older
      while (asked < until) await once(service, 'request');
      return 0;
    },
    close: () => closed(child, service),
  };
}

async function closed(child: ChildProcess, service: Server): Promise<void> {
  child.kill('SIGTERM');
  await once(child, 'exit');
  service.close();
  service.closeAllConnections();
}
