import { join, resolve } from 'node:path';
import { DEPLOY_CHECKERS } from '../../lab/requirements.ts';
import { type Checked, checked } from '../checked.ts';

export const CHART = resolve(import.meta.dirname, '../../../deploy/helm/aligned-meshnet');
export const NAMESPACE = 'meshes';
export const KUBERNETES_VERSION = '1.35';

/** What Helm makes of the chart with these values; or what it says against them. */
export function rendered(values: object = {}, chart = CHART): Checked {
  const { code, output } = checked([
    DEPLOY_CHECKERS.helm,
    ...['template', 'test', chart, '--namespace', NAMESPACE],
    ...['--kube-version', `${KUBERNETES_VERSION}.0`],
    ...Object.entries(values).flatMap(([key, value]) => [
      '--set-json',
      `${key}=${JSON.stringify(value)}`,
    ]),
  ]);
  // Helm tells of each link in the chart that it follows.
  return { code, output: output.replace(/^.*found symbolic link in path.*\n/gm, '') };
}

/** The documents in rendered YAML. */
export function documentsIn(yaml: string): string[] {
  return yaml.split(/^---$/m).filter((one) => /^kind:/m.test(one));
}

/** Everything that the chart can make. */
export const EVERYTHING = {
  sidecars: {
    inference: { replicas: 2, containers: [{ name: 'app', image: 'app:1' }] },
    gateway: { backend: 'linux', containers: [{ name: 'app', image: 'app:1' }] },
  },
  'join.pods': ['others/worker'],
  'controller.storage.storageClassName': 'fast',
  'nodes.options': ['--score-from=prometheus:http://127.0.0.1:9090#avg(up)'],
} as const;

export const files = (...names: string[]) => names.map((name) => join(CHART, name));
