/** The commands: what each takes and does. */
export const COMMANDS = {
  compile: {
    usage: 'MODEL',
    summary: 'make the smaller model; the default: its name may be left out',
    least: 1,
    most: 1,
  },
  inspect: { usage: 'MODEL', summary: 'what is zero, where, and what could go; writes nothing', least: 1, most: 1 },
  why: { usage: 'MODEL NODE', summary: "why a node's channels stay: the nodes that need them", least: 2, most: 2 },
  mask: { usage: 'MODEL', summary: 'make masks, and say what the compiler will remove of them', least: 1, most: 1 },
  verify: { usage: 'A B', summary: 'run two models on the same inputs and compare their outputs', least: 2, most: 2 },
  bench: {
    usage: 'A [B...]',
    summary: 'measure models side by side, in turns',
    least: 1,
    most: Number.POSITIVE_INFINITY,
  },
  doctor: {
    usage: '',
    summary: 'what of this machine is used, what is missing and how to get it',
    least: 0,
    most: 0,
  },
} as const;

export type CommandName = keyof typeof COMMANDS;
