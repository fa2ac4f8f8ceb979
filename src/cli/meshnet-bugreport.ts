import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, freemem, networkInterfaces, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { printable, printableJson } from '../contract/printable.ts';
import { bugReport, filesOf, type Section } from '../doctor/bug-report.ts';
import { replaceFileSync } from '../ground/files.ts';
import { version } from '../ground/version.ts';
import { adminText } from './admin-client.ts';
import { type DoctorOptions, examine, findingText } from './meshnet-doctor.ts';
import { nodeCall, nodeLines } from './node-client.ts';

export interface BugReportOptions extends DoctorOptions {
  readonly out?: string;
}

/** Where packages and units keep options. */
const OPTION_FILES = ['/etc/default/meshnet-controller', '/etc/default/meshnet-node'];

/** `meshnet bugreport`: to be read before it is sent, as its first lines say. */
export async function writeBugReport(options: BugReportOptions): Promise<void> {
  const controllerState = dirname(options.socket);
  const directories = [controllerState, options.state].filter((path) => existsSync(path));
  const sections = [
    { title: 'Program', text: program },
    { title: 'Machine', text: machine },
    { title: 'Doctor', text: () => findings(options) },
    ...OPTION_FILES.filter((path) => existsSync(path)).map((path) => ({
      title: path,
      text: () => readFileSync(path, 'utf8'),
    })),
    ...directories.map((path) => ({ title: path, text: () => filesOf(path) })),
    ...(existsSync(options.socket) ? ofController(options) : []),
    ...(existsSync(options.state) ? ofNode(options.state) : []),
  ];
  const body = await bugReport(sections, directories);
  const text = `# Report about a mesh, ${new Date().toISOString()}

Names, addresses and scores of the mesh are in it; keys, tokens and passwords were taken out. Read it
before you send it.

${body}`;
  const clean = options.json
    ? printableJson(JSON.stringify({ report: text }))
    : printable(text).trimEnd();
  if (options.out === undefined) process.stdout.write(`${clean}\n`);
  else replaceFileSync(options.out, `${clean}\n`);
}

function program(): string {
  const { node, openssl } = process.versions;
  return `aligned-meshnet ${version()}, Node ${node}, OpenSSL ${openssl}`;
}

function machine(): string {
  const [cpu] = cpus();
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  const addresses = Object.entries(networkInterfaces()).map(
    ([name, all = []]) => `${name}: ${all.map(({ cidr, address }) => cidr ?? address).join(' ')}`,
  );
  return [
    `${process.platform} ${release()} ${arch()}, user ${process.geteuid?.() ?? 'unknown'}`,
    `${cpus().length} x ${cpu?.model ?? 'unknown'}, ${mib(freemem())} of ${mib(totalmem())} MiB free`,
    ...addresses,
  ].join('\n');
}

async function findings(options: DoctorOptions): Promise<string> {
  const examined = await examine(options);
  return examined
    .flatMap(({ who, findings: found }) => [`${who}:`, ...found.map(findingText)])
    .join('\n');
}

function ofController(options: BugReportOptions): Section[] {
  const asked = (path: string) => ({
    title: `Controller: ${path}`,
    text: () => adminText(options, path),
  });
  return [asked('/v1/epoch'), asked('/v1/policy'), asked('/metrics'), asked('/v1/events')];
}

function ofNode(state: string): Section[] {
  return [
    {
      title: 'Node: status',
      text: async () => JSON.stringify(await nodeCall(state, 'GET', '/v1/status'), undefined, 1),
    },
    {
      title: 'Node: events',
      text: async () => {
        const lines: string[] = [];
        const never = new AbortController().signal;
        await nodeLines(state, '/v1/events', (line) => lines.push(line), never);
        return lines.join('\n');
      },
    },
  ];
}
