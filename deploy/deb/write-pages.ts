import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { EXIT_MEANINGS } from '../../src/cli/exit-codes.ts';
import { meshnetCommand } from '../../src/cli/meshnet.ts';
import { USAGE } from '../../src/cli/meshtun-arguments.ts';
import { version } from '../../src/ground/version.ts';
import {
  bashCompletion,
  manualPage,
  plainCompletions,
  plainManualPage,
  zshCompletion,
} from './pages.ts';

/** Writes the pages below the root of a package: `node write-pages.ts ROOT`. */
const root = process.argv[2]!;

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

const zip = (text: string) => gzipSync(text, { level: 9 });
const program = meshnetCommand();
const about = 'a WireGuard daemon, in place of wireguard-go';
write('usr/share/man/man1/meshnet.1.gz', zip(manualPage(program, version(), EXIT_MEANINGS)));
write('usr/share/man/man1/meshtun.1.gz', zip(plainManualPage('meshtun', USAGE, about, version())));
write('usr/share/bash-completion/completions/meshnet', bashCompletion(program));
write('usr/share/zsh/vendor-completions/_meshnet', zshCompletion(program));
const meshtun = plainCompletions('meshtun', USAGE);
write('usr/share/bash-completion/completions/meshtun', meshtun.bash);
write('usr/share/zsh/vendor-completions/_meshtun', meshtun.zsh);
