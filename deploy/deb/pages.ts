import type { Command, Option } from 'commander';

/** Manual pages and shell completions, made of what the programs themselves say of their commands. */

const visible = (command: Command) => command.commands.filter((one) => one.name() !== 'help');
const optionsOf = (command: Command) => command.options.filter((option) => !option.hidden);

/** Every command with its words, parents first: `['node', 'add']`. */
function commandsOf(command: Command, words: readonly string[] = []): [string[], Command][] {
  const below = visible(command).flatMap((one) => commandsOf(one, [...words, one.name()]));
  return [[[...words], command], ...below];
}

const escaped = (text: string) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');

function usageOf(program: Command, words: readonly string[], command: Command): string {
  const values = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [program.name(), ...words, '[options]', ...values].join(' ');
}

function entry({
  flags,
  description,
  defaultValue,
  defaultValueDescription,
  envVar,
}: Option): string {
  const usual = defaultValueDescription ?? defaultValue;
  const notes = [
    ...(usual === undefined || typeof usual === 'boolean' ? [] : [`default: ${usual}`]),
    ...(envVar === undefined ? [] : [`environment: ${envVar}`]),
  ];
  const note = notes.length === 0 ? '' : ` (${notes.join('; ')})`;
  return `.TP\n.B ${escaped(flags)}\n${escaped(description + note)}`;
}

/** Section 1 of the manual: `meshnet.1`. `exits`: what exit codes mean. */
export function manualPage(
  program: Command,
  version: string,
  exits: Readonly<Record<number, string>>,
): string {
  const sections = commandsOf(program).map(([words, command]) => {
    const title =
      words.length === 0 ? '.SH COMMANDS' : `.SS ${escaped(usageOf(program, words, command))}`;
    const about = words.length === 0 ? [] : [escaped(command.description())];
    return [title, ...about, ...optionsOf(command).map(entry)].join('\n');
  });
  return `${[
    `.TH MESHNET 1 "" "aligned\\-meshnet ${version}"`,
    `.SH NAME\n${program.name()} \\- ${escaped(program.description())}`,
    `.SH SYNOPSIS\n.B ${program.name()}\n[options] command`,
    ...sections,
    '.SH EXIT STATUS',
    ...Object.entries(exits).map(([code, meaning]) => `.TP\n.B ${code}\n${escaped(meaning)}`),
    '.SH SEE ALSO\n.BR meshtun (1)',
  ].join('\n')}\n`;
}

/** Section 1 of the manual for a program whose help is one text: `meshtun.1`. */
export function plainManualPage(
  name: string,
  usage: string,
  about: string,
  version: string,
): string {
  return `.TH ${name.toUpperCase()} 1 "" "aligned\\-meshnet ${version}"
.SH NAME
${name} \\- ${escaped(about)}
.SH SYNOPSIS
.nf
${escaped(usage.trimEnd())}
.fi
.SH SEE ALSO
.BR meshnet (1), wg (8)
`;
}

/** For bash: words after each command, and its options. */
export function bashCompletion(program: Command): string {
  const cases = commandsOf(program).map(([words, command]) => {
    const options = optionsOf(command).flatMap(({ short, long }) => [short, long]);
    const below = visible(command).map((one) => one.name());
    const all = [...below, ...options, '--help'].filter((one) => one !== undefined);
    return `    '${words.join(' ')}') words='${all.join(' ')}' ;;`;
  });
  const known = commandsOf(program).map(([words]) => `'${words.join(' ')}'`);
  return `# Completions of ${program.name()} for bash.
_${program.name()}() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
      ${known.filter((one) => one !== "''").join(' | ')}) path="\${path:+$path }$word" ;;
    esac
  done
  case $path in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _${program.name()} ${program.name()}
`;
}

/** A word and what it is, as `_describe` of zsh takes them; quoted for the shell. */
function described(word: string, about: string): string {
  const text = `${word.replaceAll(':', '\\:')}:${about}`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** For zsh: the same words with what they are, and files where a value may be one. */
export function zshCompletion(program: Command): string {
  const cases = commandsOf(program).map(([words, command]) => {
    const below = visible(command).map((one) => described(one.name(), one.description()));
    const options = optionsOf(command).flatMap(({ short, long, description }) =>
      [short, long].filter((one) => one !== undefined).map((one) => described(one, description)),
    );
    const all = [...below, ...options, described('--help', 'display help for command')];
    return `    ('${words.join(' ')}') offered=(\n${all.map((one) => `      ${one}\n`).join('')}    ) ;;`;
  });
  const known = commandsOf(program).flatMap(([words]) =>
    words.length === 0 ? [] : [`'${words.join(' ')}'`],
  );
  return `#compdef ${program.name()}
_${program.name()}() {
  local line='' word
  local -a offered
  for word in \${words[2,CURRENT-1]}; do
    case "\${line:+$line }$word" in
      (${known.join('|')}) line="\${line:+$line }$word" ;;
    esac
  done
  case $line in
${cases.join('\n')}
  esac
  _describe '${program.name()}' offered || _files
}
if [[ $funcstack[1] = _${program.name()} ]]; then _${program.name()} "$@"; else compdef _${program.name()} ${program.name()}; fi
`;
}

/** The options that the help of a program names, for bash and for zsh. */
export function plainCompletions(name: string, usage: string): { bash: string; zsh: string } {
  const options = [...new Set(usage.match(/(?<![\w-])--[a-z-]+/g))];
  return {
    bash: `complete -o default -W '${options.join(' ')}' ${name}\n`,
    zsh: `#compdef ${name}\n_arguments ${options.map((one) => `'${one}'`).join(' ')} '*:: :_default'\n`,
  };
}
