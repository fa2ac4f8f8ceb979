import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Role } from '../../src/contract/access.ts';
import {
  type ClientCertificates,
  type Controller,
  openState,
  startController,
} from '../../src/controller/controller.ts';
import { issueAccess } from '../../src/controller/operations/access.ts';
import { setPolicy } from '../../src/controller/operations/policy.ts';
import { removeNode } from '../../src/controller/operations/remove-node.ts';
import { listTokens } from '../../src/controller/operations/tokens.ts';
import { orRefuse } from '../../src/controller/problem-error.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { makeCertificate } from '../deploy/kubernetes/cluster.ts';
import { blocksOf } from '../docs/pages.ts';
import { DEPLOY_CHECKERS, requires } from '../lab/requirements.ts';

const MESHNET = new URL('../../src/cli/meshnet.ts', import.meta.url).pathname;
const TERRAFORM = new URL('../../deploy/terraform', import.meta.url).pathname;
const ADMIN = { kind: 'admin' } as const;
/** Of `plan -detailed-exitcode`. */
const NOTHING_TO_DO = 0;
const CHANGES = 2;
const SECRET = /access\.[\w-]{12}\.[\w-]{43}|[\w-]{12}\.[\w-]{43}\.[\w-]{43}/;

/** Starts a node and returns when it has enrolled: what `systemctl start` does on a machine. */
const DELIVER = `
  umask 077
  printf '%s\\n' "$MESHNET_TOKEN" > "$PLACE/$NODE_NAME.token"
  unset MESHNET_TOKEN
  "$NODE_PROGRAM" "$MESHNET" node --state "$PLACE/$NODE_NAME" --token-file "$PLACE/$NODE_NAME.token" \\
    --backend userspace $MESHNET_NODE_OPTIONS > "$PLACE/$NODE_NAME.log" 2>&1 < /dev/null &
  echo $! > "$PLACE/$NODE_NAME.pid"
  until grep -q enrolled "$PLACE/$NODE_NAME.log"; do kill -0 $! || exit 1; sleep 0.1; done
`;

interface Ran {
  readonly code: number;
  readonly output: string;
}

async function run(
  [program, ...args]: readonly [string, ...string[]],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<Ran> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, 'close');
  return { code: code as number, output };
}

requires(
  'tofu',
  'go',
  'openssl',
)('with Terraform', () => {
  const folder = mkdtempSync(join(tmpdir(), 'terraform-'));
  const place = join(folder, 'machines');
  let mesh: Controller;

  beforeAll(async () => {
    mkdirSync(place);
    cpSync(TERRAFORM, join(folder, 'terraform'), { recursive: true });
    const provider = join(folder, 'provider');
    const built = await run(
      ['go', 'build', '-trimpath', '-o', join(provider, 'terraform-provider-meshnet'), '.'],
      join(TERRAFORM, 'provider'),
      {},
    );
    expect(built.code, built.output).toBe(0); // it may say what it downloads
    const overrides = `"aligned-meshnet/meshnet" = "${provider}"`;
    writeFileSync(
      join(folder, 'tofurc'),
      `provider_installation {\n dev_overrides {\n ${overrides}\n }\n direct {}\n}\n`,
    );
    mesh = await started('own');
  });
  afterAll(async () => {
    for (const name of readdirSync(place).filter((one) => one.endsWith('.pid'))) end(name);
    await mesh.close();
    rmSync(folder, { recursive: true });
  });

  const end = (name: string) => {
    try {
      process.kill(Number(readFileSync(join(place, name), 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };

  const started = (
    tls: 'own' | { key: string; cert: string },
    clients?: ClientCertificates,
  ): Promise<Controller> =>
    startController({
      state: openState(join(mkdtempSync(join(folder, 'controller-')), 'state')),
      listen: { host: '127.0.0.1', port: 0 },
      settings: { epochS: 5 },
      tls,
      ...(clients === undefined ? {} : { clients }),
      crypto: defaultProvider(),
      random: (length) => new Uint8Array(randomBytes(length)),
    });

  const access = async (role: Role, controller = mesh): Promise<string> => {
    const name = `run-${randomBytes(4).toString('hex')}`;
    const request = { name, role, ttl_s: null };
    return orRefuse(await issueAccess(controller.services, ADMIN, request)).token;
  };

  const openTokens = async () => orRefuse(await listTokens(mesh.services, ADMIN)).tokens;

  const nodes = () => [...mesh.services.directory.nodes.keys()].sort();

  const tofu = (token: string, at: string, ...args: string[]): Promise<Ran> =>
    tofuWith({ MESHNET_ACCESS_TOKEN: token }, at, ...args);

  const tofuWith = (env: NodeJS.ProcessEnv, at: string, ...args: string[]): Promise<Ran> =>
    run([DEPLOY_CHECKERS.tofu, args[0]!, '-no-color', ...args.slice(1)], at, {
      TF_CLI_CONFIG_FILE: join(folder, 'tofurc'),
      TF_IN_AUTOMATION: '1',
      TF_INPUT: '0',
      MESHNET_CONTROLLER: mesh.url,
      NODE_PROGRAM: process.execPath,
      MESHNET,
      PLACE: place,
      ...env,
    });

  /** A configuration of a few lines in a folder of its own. */
  const configured = (text: string): string => {
    const at = mkdtempSync(join(folder, 'configuration-'));
    const provider = 'meshnet = { source = "aligned-meshnet/meshnet" }';
    writeFileSync(
      join(at, 'main.tf'),
      `terraform {\n required_providers {\n ${provider}\n }\n}\n${text}`,
    );
    return at;
  };

  /** All that a run leaves where it ran. */
  const left = (at: string): string =>
    readdirSync(at, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile() && !one.name.endsWith('.tf'))
      .map((one) => readFileSync(join(one.parentPath, one.name), 'latin1'))
      .join('\n');

  test('the provider and the configurations are clean by the checkers of their languages', async () => {
    const provider = join(TERRAFORM, 'provider');
    const clean = { code: 0, output: '' };
    expect(await run(['go', 'vet', '.'], provider, {})).toEqual(clean);
    expect(await run(['gofmt', '-l', '.'], provider, {})).toEqual(clean);
    expect(await tofu('', TERRAFORM, 'fmt', '-check', '-recursive')).toEqual(clean);
  });

  test('the example and the module: validate, plan, apply, nothing to do, destroy', async () => {
    const at = join(folder, 'terraform/example');
    const admin = await access('admin');
    const variables = (change: object = {}) =>
      writeFileSync(
        join(at, 'terraform.tfvars.json'),
        JSON.stringify({
          controller: mesh.url,
          policy: JSON.stringify({ version: 2, suites: [{ suite: 'alignment', threshold: 0.6 }] }),
          nodes: {
            'web-1': { options: ['--score-mean', '0.9'] },
            'web-2': { listen_port: 0, options: ['--score-mean', '0.9'] },
          },
          deliver: DELIVER,
          ...change,
        }),
      );
    variables();
    expect(await tofu(admin, at, 'get')).toMatchObject({ code: 0 });
    expect(await tofu(admin, at, 'validate')).toMatchObject({ code: 0 });

    const planned = await tofu(admin, at, 'plan', '-detailed-exitcode', '-out=plan');
    expect(planned, planned.output).toMatchObject({ code: CHANGES });
    expect(planned.output).toContain('Plan: 5 to add, 0 to change, 0 to destroy.');
    expect(await openTokens()).toEqual([]); // a plan's own are withdrawn
    const applied = await tofu(admin, at, 'apply', 'plan');
    expect(applied, applied.output).toMatchObject({ code: 0 });
    expect(nodes()).toEqual(['web-1', 'web-2']);
    expect(applied.output).toMatch(/"web-1" = "10\.10\.0\.\d+"/);
    expect(mesh.services.settings.policy.suites[0]!.threshold).toBe(0.6);
    expect(await openTokens()).toEqual([]);

    const again = await tofu(admin, at, 'plan', '-detailed-exitcode');
    expect(again, again.output).toMatchObject({ code: NOTHING_TO_DO });

    const shown = [planned, applied, again].map(({ output }) => output).join('\n');
    expect(`${shown}\n${left(at)}`).not.toMatch(SECRET);
    expect(left(at)).toContain('web-1');

    // What others change is planned anew.
    const document = { version: 2, suites: [{ suite: 'alignment', threshold: 0.5 }] };
    const change = { document, dry_run: false, confirmed: true };
    orRefuse(await setPolicy(mesh.services, ADMIN, change));
    orRefuse(await removeNode(mesh.services, ADMIN, 'web-2'));
    const drift = await tofu(admin, at, 'plan', '-detailed-exitcode');
    expect(drift).toMatchObject({ code: CHANGES });
    expect(drift.output).toContain('meshnet_policy.mesh will be updated in-place');
    expect(drift.output).toContain('meshnet_node.each["web-2"] will be created');

    const destroyed = await tofu(admin, at, 'destroy', '-auto-approve');
    expect(destroyed, destroyed.output).toMatchObject({ code: 0 });
    expect(destroyed.output).toContain('The policy stays in force');
    expect(nodes()).toEqual([]);
  });

  test.for([
    ['a name', { Web: {} }, 'Expected names of 1 to 63 of a-z'],
    ['an address', { a: { advertise: '1.2.3.4 -x' } }, 'Expected IP addresses'],
    ['an option', { a: { options: ['--score-command', '$(id)'] } }, 'Expected options without'],
  ] as const)('the module refuses %s that would not do', async ([, wrong, said]) => {
    const at = configured(`module "nodes" {
      source     = "${join(TERRAFORM, 'module')}"
      controller = "https://mesh.example:8440"
      nodes      = ${JSON.stringify(wrong)}
    }`);
    await tofu('', at, 'get');
    const { code, output } = await tofu('', at, 'plan');
    expect(code).toBe(1);
    expect(output).toContain(said);
  });

  test('user data says how to get a token, and holds none', async () => {
    const at = configured(`module "nodes" {
      source        = "${join(TERRAFORM, 'module')}"
      controller    = "https://mesh.example:8440"
      nodes         = { web-1 = { listen_port = 51820, advertise = "192.0.2.7" } }
      install       = ["apt-get install -y ./meshnet.deb"]
      token_command = "echo token-of-$NODE_NAME"
    }
    output "user_data" { value = module.nodes.user_data["web-1"] }
    output "commands" { value = yamldecode(module.nodes.user_data["web-1"]).runcmd }`);
    await tofu('', at, 'get');
    expect(await tofu('', at, 'apply', '-auto-approve')).toMatchObject({ code: 0 });
    const { output: text } = await tofu('', at, 'output', '-raw', 'user_data');
    expect(text).toMatch(/^#cloud-config\n/);
    expect(text).toContain('--name web-1 --listen-port 51820 --advertise 192.0.2.7');
    const { output } = await tofu('', at, 'output', '-json', 'commands');
    const commands = JSON.parse(output) as string[][];
    expect(commands[0]).toEqual(['sh', '-ec', 'apt-get install -y ./meshnet.deb']);
    const fetch = commands[1]!.map((word) => word.replaceAll('/etc/meshnet', join(folder, 'etc')));
    expect(await run(fetch as [string], folder, {})).toEqual({ code: 0, output: '' });
    const file = join(folder, 'etc/join-token');
    expect(readFileSync(file, 'utf8')).toBe('token-of-web-1\n');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('a join token goes into a file of its own, is renewed when used up, and withdrawn', async () => {
    const operate = await access('operate');
    const token = (more: string) => `resource "meshnet_join_token" "batch" {
      names = "batch-*"
      uses  = 3
      ttl_s = 600
      ${more}
    }`;
    const at = configured(token('file  = "token"\n renew = true'));
    expect(await tofu(operate, at, 'apply', '-auto-approve')).toMatchObject({ code: 0 });
    const file = join(at, 'token');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const secret = readFileSync(file, 'utf8').trim();
    expect(secret).toMatch(SECRET);
    expect(readFileSync(join(at, 'terraform.tfstate'), 'utf8')).not.toMatch(SECRET);
    const [made] = await openTokens();
    expect(made).toMatchObject({ names: 'batch-*', uses: 3, id: secret.split('.')[0] });
    const plan = () => tofu(operate, at, 'plan', '-detailed-exitcode');
    expect(await plan()).toMatchObject({ code: NOTHING_TO_DO });

    await mesh.services.store.deleteToken(made!.id);
    expect(await plan()).toMatchObject({ code: CHANGES });
    expect(await tofu(operate, at, 'apply', '-auto-approve')).toMatchObject({ code: 0 });
    expect(await plan()).toMatchObject({ code: NOTHING_TO_DO });
    expect(readFileSync(file, 'utf8').trim()).not.toBe(secret);
    expect(await tofu(operate, at, 'destroy', '-auto-approve')).toMatchObject({ code: 0 });
    expect(await openTokens()).toEqual([]);
    expect(existsSync(file)).toBe(false);
  });

  test('a token that is kept outlives the run', async () => {
    const at = configured(`ephemeral "meshnet_join_token" "later" {
      node_id = "later"
      ttl_s   = 600
      keep    = true
    }
    resource "terraform_data" "store" {
      provisioner "local-exec" {
        command     = "printf %s \\"$TOKEN\\" > token"
        environment = { TOKEN = ephemeral.meshnet_join_token.later.token }
      }
    }`);
    expect(await tofu(await access('operate'), at, 'apply', '-auto-approve')).toMatchObject({
      code: 0,
    });
    const ids = (await openTokens()).map(({ id }) => id);
    expect(ids).toContain(readFileSync(join(at, 'token'), 'utf8').split('.')[0]);
    for (const id of ids) await mesh.services.store.deleteToken(id);
  });

  test.for([
    ['a value out of range', 'validate', 'admin', 'join_token', 'ttl_s = 0', 'between 1 and'],
    ['an unknown argument', 'validate', 'admin', 'join_token', 'ttl = 60', 'Unsupported argument'],
    [
      'a policy that cannot be',
      'plan',
      'admin',
      'policy',
      'document = jsonencode({ version = 2, suites = [{ suite = "a", threshold = 7 }] })',
      /The controller would refuse this policy[\s\S]*threshold/,
    ],
    [
      'a group that the policy does not have',
      'apply',
      'admin',
      'join_token',
      'ttl_s = 60\n group = "others"',
      'a group of the policy',
    ],
    [
      'a role that is too little',
      'apply',
      'view',
      'join_token',
      'ttl_s = 60',
      /an access token with the role\s+operate/,
    ],
    [
      'a node that does not come',
      'apply',
      'admin',
      'node',
      'node_id = "nobody"',
      'has not enrolled',
    ],
  ] as const)('says what is wrong with %s', async ([, command, role, resource, body, said]) => {
    const at = configured(`resource "meshnet_${resource}" "it" {\n ${body}\n}`);
    const yes = command === 'apply' ? ['-auto-approve'] : [];
    const { code, output } = await tofu(await access(role), at, command, ...yes);
    expect(code).toBe(1);
    const [title] = [output.replaceAll(/[│╷╵]/g, ' ').replaceAll(/ +/g, ' ')];
    if (typeof said === 'string') expect(title.replaceAll(/\s+/g, ' ')).toContain(said);
    else expect(title).toMatch(said);
    expect(output).not.toMatch(SECRET);
  });

  test('only the controller of the mesh is shown the token, or one of an authority that is named', async () => {
    makeCertificate(join(folder, 'tls.crt'), join(folder, 'tls.key'));
    const cert = readFileSync(join(folder, 'tls.crt'), 'utf8');
    const other = await started({ cert, key: readFileSync(join(folder, 'tls.key'), 'utf8') });
    try {
      const status = (more: string) =>
        configured(`provider "meshnet" {
          controller = "${other.url}"
          ${more}
        }
        data "meshnet_status" "now" {}
        output "epoch" { value = data.meshnet_status.now.epoch }`);
      const own = await access('view', other);
      const strange = await tofu(own, status(''), 'plan');
      expect(strange.code).toBe(1);
      expect(strange.output.replaceAll(/[\s│]+/g, ' ')).toContain(
        'its certificate is not of this mesh, nor trusted here',
      );
      expect(strange.output).not.toMatch(SECRET);
      const authority = `ca_certificate = file("${join(folder, 'tls.crt')}")`;
      expect(await tofu(own, status(authority), 'plan')).toMatchObject({ code: 0 });
      const nobody = await tofu('access.nobody', status(authority), 'plan');
      expect(nobody.output.replaceAll(/[\s│]+/g, ' ')).toContain('this is not an access token');
    } finally {
      await other.close();
    }
  });

  test('a client certificate does in place of a token, from files or as PEM, and its key is in no plan or state', async () => {
    const own = mkdtempSync(join(folder, 'client-'));
    const page = blocksOf('docs/INTEGRATION.md').find(({ text }) => text.includes('/CN=desk'))!;
    expect(await run(['sh', '-ec', page.text], own, {})).toMatchObject({ code: 0 });
    const [cert, key] = [join(own, 'desk.crt'), join(own, 'desk.key')];
    const roles = new Map<string, Role>([['desk', 'operate']]);
    const other = await started('own', {
      trust: { ca: readFileSync(join(own, 'ca.crt'), 'utf8') },
      roleOf: (name) => roles.get(name),
    });
    try {
      const token = `resource "meshnet_join_token" "batch" {
        ttl_s = 600
        file  = "token"
      }`;
      const env = {
        MESHNET_CONTROLLER: other.url,
        MESHNET_MESH_ID: Buffer.from(other.meshId).toString('base64'),
      };
      const files = { ...env, MESHNET_CLIENT_CERT: cert, MESHNET_CLIENT_KEY: key };
      const byFiles = configured(token);
      const applied = await tofuWith(files, byFiles, 'apply', '-auto-approve');
      expect(applied, applied.output).toMatchObject({ code: 0 });
      expect(orRefuse(await listTokens(other.services, ADMIN)).tokens).toHaveLength(1);
      const asked = other.services.recent.all.filter((one) => one.event === 'asked');
      expect(asked).toMatchObject([{ by: 'certificate:desk', what: 'issue_token' }]);
      expect(await tofuWith(files, byFiles, 'destroy', '-auto-approve')).toMatchObject({ code: 0 });

      const provider = (more: string) => configured(`provider "meshnet" { ${more} }\n${token}`);
      const byText = provider(`
        client_cert = file("${cert}")
        client_key  = file("${key}")
      `);
      const made = await tofuWith(env, byText, 'apply', '-auto-approve');
      expect(made, made.output).toMatchObject({ code: 0 });
      const private_ = readFileSync(key, 'utf8').split('\n')[1]!;
      expect(`${applied.output}${made.output}${left(byFiles)}${left(byText)}`).not.toContain(
        private_,
      );

      const refused = async (change: NodeJS.ProcessEnv) => {
        const { code, output } = await tofuWith({ ...files, ...change }, byFiles, 'plan');
        expect(code).toBe(1);
        expect(output).not.toContain(private_);
        return output.replaceAll(/[\s│]+/g, ' ');
      };
      expect(await refused({ MESHNET_CLIENT_KEY: '' })).toContain('belong together');
      expect(await refused({ MESHNET_CLIENT_KEY: private_ })).toContain('expected PEM or the path');
      expect(await refused({ MESHNET_CLIENT_KEY: cert })).toContain('others may read the file');
      expect(await refused({ MESHNET_CLIENT_CERT: join(own, 'ca.crt') })).toContain(
        'belongs to it',
      );
      expect(await refused({ MESHNET_MESH_ID: 'x' })).toContain('mesh_id: expected 32 bytes');
      const plain = 'http://127.0.0.1:1';
      expect(await refused({ MESHNET_CONTROLLER: plain })).toContain('over TLS only');
      expect(await refused({ MESHNET_CLIENT_CERT: '', MESHNET_CLIENT_KEY: '' })).toContain(
        'or a client certificate',
      );
      chmodSync(key, 0o644);
      expect(await refused({})).toContain('others may read the file (mode 0644)');
      chmodSync(key, 0o600);
      roles.clear();
      const { output } = await tofuWith(files, byText, 'apply', '-auto-approve', '-destroy');
      expect(output.replaceAll(/[\s│]+/g, ' ')).toContain(
        'The client certificate desk has no role',
      );
    } finally {
      await other.close();
    }
  });
});
