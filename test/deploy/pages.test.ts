import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  bashCompletion,
  manualPage,
  plainCompletions,
  plainManualPage,
  zshCompletion,
} from '../../deploy/deb/pages.ts';
import { EXIT_MEANINGS } from '../../src/cli/exit-codes.ts';
import { meshnetCommand } from '../../src/cli/meshnet.ts';
import { USAGE } from '../../src/cli/meshtun-arguments.ts';
import { requires } from '../lab/requirements.ts';
import { checked } from './checked.ts';

const program = meshnetCommand();
const folder = mkdtempSync(join(tmpdir(), 'pages-'));
afterAll(() => rmSync(folder, { recursive: true }));

function written(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

requires('groff')('the manual pages', () => {
  const rendered = (page: string) =>
    checked(['groff', '-man', '-Tutf8', '-ww', '-P-cbou', written('page.1', page)]);

  test('are ones that groff finds no fault with, and name every command and option', () => {
    const { code, output } = rendered(manualPage(program, '1.2.3', EXIT_MEANINGS));
    expect(code).toBe(0);
    expect(output).not.toMatch(/(?:warning|error): /);
    const text = output.replaceAll('‐\n', '').replaceAll('‐', '-');
    for (const command of program.commands) {
      expect(text).toContain(`meshnet ${command.name()} [options]`);
      for (const { long, hidden } of command.options) if (!hidden) expect(text).toContain(long);
    }
    expect(text).toContain('meshnet node add [options] <name>');
    expect(text).toMatch(/EXIT STATUS\s+0\s+done/);
    for (const name of ['doctor', 'ping', 'wait-ready', 'leave', 'bugreport', 'events']) {
      expect(text, name).toContain(`meshnet ${name} [options]`);
    }
  });

  test('say of meshtun what it says of itself', () => {
    const { code, output } = rendered(plainManualPage('meshtun', USAGE, 'a daemon', '1.2.3'));
    expect(code).toBe(0);
    expect(output).not.toMatch(/(?:warning|error): /);
    expect(output).toContain('--worker-pairs N');
  });
});

requires('bash')('the completions for bash', () => {
  const file = written('completion', bashCompletion(program));
  const complete = (...words: string[]) => {
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const script = `. ${file}; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _meshnet; echo "\${COMPREPLY[*]}"`;
    return checked(['bash', '--norc', '-euc', script]).output.trim().split(' ');
  };

  test('offer the commands, their subcommands and their options', () => {
    expect(complete('meshnet', 'controll')).toEqual(['controller']);
    expect(complete('meshnet', 'node', '')).toEqual(expect.arrayContaining(['add', '--advertise']));
    expect(complete('meshnet', 'node', 'add', '--t')).toEqual(['--ttl']);
    expect(complete('meshnet', 'controller', '--tls')).toEqual(['--tls-cert', '--tls-key']);
  });
});

requires('zsh')('the completions for zsh', () => {
  const file = written('_meshnet', zshCompletion(program));
  /** What is offered, as `word:what it is`; `_describe` stands in for zsh's own. */
  const offered = (...words: string[]) => {
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const script = `compdef() { : }; _describe() { print -rl -- "\${(@P)2}" }
      source ${file}; words=(${quoted}); CURRENT=${words.length}; _meshnet`;
    const { code, output } = checked(['zsh', '-fc', script]);
    expect(code).toBe(0);
    return output.trim().split('\n');
  };

  test('offer every command, subcommand and option with what it is', () => {
    const commands = offered('meshnet', '');
    for (const command of program.commands) {
      expect(commands).toContain(`${command.name()}:${command.description()}`);
    }
    expect(offered('meshnet', 'node', 'add', '')).toContain('--ttl:how long the token can be used');
    expect(offered('meshnet', 'ping', '')).toContain('--count:echoes, a second apart');
  });

  test('of meshtun, too, are those that its help names', () => {
    const { bash, zsh } = plainCompletions('meshtun', USAGE);
    expect(checked(['bash', '--norc', '-euc', bash])).toMatchObject({ code: 0 });
    expect(checked(['zsh', '-n', written('_meshtun', zsh)])).toMatchObject({ code: 0 });
    for (const text of [bash, zsh]) expect(text).toContain('--worker-pairs');
  });
});
