/** The pages in the order in which somebody needs them: name, and path with heading. */
export const NAVIGATION: readonly {
  readonly title: string;
  readonly entries: readonly (readonly [name: string, target: string])[];
}[] = [
  {
    title: 'Begin',
    entries: [
      ['What it is', 'README.md'],
      ['A demonstration', 'docs/DEMO.md'],
      ['Install', 'docs/INSTALL.md'],
      ['First mesh in ten minutes', 'docs/FIRST-MESH.md'],
    ],
  },
  {
    title: 'Operate',
    entries: [
      ['On real machines', 'docs/DEPLOY.md'],
      ['Firewall', 'docs/DEPLOY.md#firewall'],
      ['Sizing', 'docs/DEPLOY.md#sizing'],
      ['Backup and restore', 'docs/DEPLOY.md#backup-and-restore'],
      ['Upgrade', 'docs/INSTALL.md#upgrade'],
      ['Remove', 'docs/INSTALL.md#remove'],
      ['When something does not work', 'docs/TROUBLESHOOTING.md'],
      ['Environment variables', 'docs/ENVIRONMENT.md'],
    ],
  },
  {
    title: 'Govern',
    entries: [
      ['Integration', 'docs/INTEGRATION.md'],
      ['Harnesses', 'docs/HARNESSES.md'],
      ['Examples', 'examples/README.md'],
      ['Governance', 'docs/GOVERNANCE.md'],
      ['The record', 'docs/RECORD.md'],
      ['Security', 'docs/SECURITY.md'],
    ],
  },
  {
    title: 'Look inside',
    entries: [
      ['Architecture', 'docs/ARCHITECTURE.md'],
      ['Protocol', 'docs/PROTOCOL.md'],
      ['Rotation', 'docs/ROTATION.md'],
      ['Benchmarks', 'docs/BENCHMARKS.md'],
      ['Contributing', 'CONTRIBUTING.md'],
      ['Changes', 'CHANGELOG.md'],
    ],
  },
];
