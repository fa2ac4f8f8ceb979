// with-descriptors INTERFACE SOCKET COMMAND...: runs COMMAND with WG_TUN_FD and WG_UAPI_FD set, as
// a program does that has opened both itself. Exits with COMMAND's status.
import { spawn } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { Tun } from '../../src/io/linux/tun.ts';

const [name, path, ...command] = process.argv.slice(2) as [string, string, string, ...string[]];
const tun = new Tun({ name, offloads: { vnetHeader: true, tcp: true, udp: true } });
mkdirSync(dirname(path), { recursive: true });
const server = createServer();
server.listen(`${path}.made`);
// Under another name: closing removes the file that it was made with.
renameSync(`${path}.made`, path);
const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
const child = spawn(command[0], command.slice(1), {
  stdio: ['ignore', 'inherit', 'inherit', tun.fd, fd],
  env: { ...process.env, WG_TUN_FD: '3', WG_UAPI_FD: '4' },
});
server.close(); // the command has it now, and shall be the only one to accept
child.on('exit', (code) => process.exit(code ?? 1));
