import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { DEPLOY_CHECKERS, requires } from '../lab/requirements.ts';
import { type Checked, checked } from './checked.ts';
import {
  CHART,
  documentsIn,
  EVERYTHING,
  KUBERNETES_VERSION,
  rendered,
} from './kubernetes/chart.ts';

requires('helm', 'kubernetes-validate')('the chart', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chart-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** By the schemas that Kubernetes publishes. */
  const validated = (yaml: string): Checked => {
    const file = join(folder, 'rendered.yaml');
    writeFileSync(file, yaml);
    return checked([
      DEPLOY_CHECKERS['kubernetes-validate'],
      ...['-k', KUBERNETES_VERSION, '--strict', file],
    ]);
  };

  const documents = (values?: object) => {
    const { code, output } = rendered(values);
    expect(code, output).toBe(0);
    return output;
  };

  test('is clean by helm lint', () => {
    const { code, output } = checked([DEPLOY_CHECKERS.helm, 'lint', '--strict', CHART]);
    expect(code, output).toBe(0);
  });

  test.for([
    ['as it comes', {}, 10],
    ['with everything', EVERYTHING, 15],
    [
      'with a controller elsewhere',
      {
        'controller.enabled': false,
        'controller.url': 'https://mesh.example:8440',
        'join.secretName': 'join',
      },
      2,
    ],
  ] as const)('makes what Kubernetes knows, %s', ([, values, count]) => {
    const yaml = documents(values);
    expect(documentsIn(yaml)).toHaveLength(count);
    const { code, output } = validated(yaml);
    expect(code, output).toBe(0);
  });

  test('is not taken with a field that Kubernetes does not know', () => {
    const wrong = documents().replace('readOnlyRootFilesystem', 'readOnlyRootFiles');
    expect(validated(wrong).code).not.toBe(0);
  });

  test('monitors and alerts where they are asked for: the alerts are those of the other deployments', () => {
    const yaml = documents({ 'monitoring.enabled': true });
    for (const kind of ['PodMonitor', 'PrometheusRule']) expect(yaml).toContain(`kind: ${kind}`);
    expect(yaml).toContain('alert: MeshnetControllerDown');
    expect(yaml).toContain('--metrics=$(POD_IP):9586');
    expect(documents()).not.toContain('monitoring.coreos.com');
  });

  test('a node in userspace has no rights, one on a machine just those for its interface', () => {
    const all = documentsIn(documents(EVERYTHING));
    const of = (kind: string, name: string) =>
      all.find((one) => one.includes(`\nkind: ${kind}\n`) && one.includes(`\n  name: ${name}\n`));
    expect(of('Deployment', 'test-meshnet-inference')).toBeDefined();
    expect(of('Deployment', 'test-meshnet-inference')).not.toMatch(
      /NET_ADMIN|net\/tun|runAsUser: 0/,
    );
    expect(of('DaemonSet', 'test-meshnet-node')).toContain('add: [NET_ADMIN, NET_RAW]');
    for (const one of all) expect(one).not.toMatch(/privileged: true/);
  });

  test.for([
    ['a value that it does not know', { 'nodes.prot': 1 }, "'prot' not allowed"],
    ['a value of the wrong kind', { 'controller.epochSeconds': 'often' }, 'epochSeconds'],
    ['a sidecar without containers', { sidecars: { a: { containers: [] } } }, 'minItems'],
    ['no way to the controller', { 'controller.enabled': false }, 'controller.url'],
  ] as const)('refuses %s', ([, values, named]) => {
    const { code, output } = rendered(values);
    expect(code).not.toBe(0);
    expect(output).toContain(named);
  });

  test('a mistake in a template is found by helm lint', () => {
    const copy = join(folder, 'copy');
    cpSync(CHART, copy, { recursive: true, dereference: true });
    const template = join(copy, 'templates/nodes.yaml');
    writeFileSync(
      template,
      readFileSync(template, 'utf8').replace('.Values.nodes.port', '.Values.node.port'),
    );
    expect(checked([DEPLOY_CHECKERS.helm, 'lint', '--strict', copy]).code).not.toBe(0);
  });
});
