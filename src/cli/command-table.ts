/** The commands: what each takes and does. */
export const COMMANDS = {
  compile: {
    usage: 'MODEL',
    summary: 'make the smaller model; the default command',
    least: 1,
    most: 1,
  },
  inspect: {
    usage: 'MODEL',
    summary: 'show what is zero and what could be removed; writes nothing',
    least: 1,
    most: 1,
  },
  why: { usage: 'MODEL NODE', summary: "show why a node's channels are kept", least: 2, most: 2 },
  mask: { usage: 'MODEL', summary: 'make masks, and show what the compiler will remove', least: 1, most: 1 },
  verify: { usage: 'A B', summary: 'run two models on the same inputs and compare their outputs', least: 2, most: 2 },
  bench: {
    usage: 'A [B...]',
    summary: 'benchmark models, interleaved',
    least: 1,
    most: Number.POSITIVE_INFINITY,
  },
  explore: {
    usage: 'MODEL',
    summary: 'prune at many ratios and show from where on it pays on this machine',
    least: 1,
    most: Number.POSITIVE_INFINITY,
  },
  doctor: {
    usage: '',
    summary: 'show what prune-compile uses on this machine, and what is missing',
    least: 0,
    most: 0,
  },
  completion: {
    usage: '',
    summary: 'print a script that completes commands, options and files in bash and zsh',
    least: 0,
    most: 0,
  },
} as const;

export type CommandName = keyof typeof COMMANDS;

export function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

/** How the script of yargs asks: this, the name of the command, and the words so far. */
export const COMPLETING = '--get-yargs-completions';
