/** The help, drawn from the table of options; no line is longer than 80 columns. */
import { wrapText } from '../report/text.js';
import { type CommandName, COMMANDS } from './command-table.js';
import { GROUPS } from './option-spec.js';
import { OPTION_KEYS, type OptionKey, shownFlag, SPECS } from './options.js';

const WIDTH = 80;
const TEXT_AT = 27;
const COMMAND_TEXT_AT = 20;

const EXAMPLES: Readonly<Record<CommandName, readonly (readonly [command: string, what: string])[]>> = {
  compile: [
    ['prune-compile model.onnx', 'writes model.pruned.onnx and proves it equal'],
    ['prune-compile model.onnx --masks checkpoint.pth', 'the same, with masks from a file'],
    ['prune-compile model.onnx --masks m.pth --structured --sparse', 'removes dead channels and uses sparse operators'],
    ['prune-compile model.onnx --bench --report report.html', 'and measures how much faster it is'],
    ['prune-compile model.onnx --shape input=1,3,224,224 --align auto', 'widths that are fast on the processor'],
    ['prune-compile model.onnx -o small.onnx --min-speedup 1.3 --quiet', 'a gate for a pipeline'],
  ],
  inspect: [
    ['prune-compile inspect model.onnx', 'the channels that could be removed, layer by layer'],
    ['prune-compile inspect model.onnx --json > layers.json', 'the same for a program'],
  ],
  why: [['prune-compile why model.onnx /layer1/conv2/Conv', 'what keeps the channels of this convolution']],
  mask: [
    ['prune-compile mask model.onnx --groups residual --width-multiple 16', 'half of the filters; next: --masks'],
    ['prune-compile mask model.onnx --granularity 2:4 -o sparse.onnx', 'the model with zeros, instead of a mask file'],
  ],
  verify: [
    ['prune-compile verify model.onnx model.pruned.onnx', 'exit code 1 when their outputs differ'],
    ['prune-compile verify model.onnx model.pruned.onnx --providers cuda', 'the same on a card'],
  ],
  bench: [
    ['prune-compile bench model.onnx model.pruned.onnx', 'one thread on the CPU'],
    ['prune-compile bench a.onnx b.onnx --providers cpu,webgpu --batch 8', ''],
  ],
  explore: [
    ['prune-compile explore model.onnx --report explore.html', 'from how many zeros on pruning pays here'],
    ['prune-compile explore model.onnx --budget 10m --granularities filter,2:4', 'at most ten minutes; again: goes on'],
    ['prune-compile explore model.onnx --shard 1/4', 'a quarter of the points, on one of four machines'],
    ['prune-compile explore --merge model.explore.*-of-4.json', 'the table of all four'],
  ],
  doctor: [
    ['prune-compile doctor', 'providers, processor, native library, cost table'],
    ['prune-compile doctor --calibrate', 'measures when sparse operators are faster here'],
    [
      'prune-compile doctor --calibrate --output edge.json',
      'the same, to be used elsewhere: --sparse-target edge.json',
    ],
    ['prune-compile doctor --get cuda', 'what CUDA needs but the driver; docs/gpu.md'],
  ],
  completion: [['source <(prune-compile completion)', 'for this shell; a line of ~/.bashrc or ~/.zshrc: for all']],
};

const EXIT_CODES = [
  ['0', 'done'],
  ['1', 'a check failed: outputs differ, or a gate was missed; no output is left'],
  ['2', 'the command line or an input is wrong'],
  ['70', 'an internal error'],
  ['130', 'interrupted (SIGINT, Ctrl-C); no partly written file is left. 143 by SIGTERM, 129 by SIGHUP'],
] as const;

/** Help about everything when no command was named, else about that command. */
export function helpText(command: CommandName | undefined): string {
  const lines = command === undefined ? generalHelp() : commandHelp(command);
  return `${lines.join('\n')}\n`;
}

function generalHelp(): string[] {
  const commands = Object.entries(COMMANDS).flatMap(([name, { usage, summary }]) =>
    row(`  ${name} ${usage}`, summary, COMMAND_TEXT_AT),
  );
  return [
    'Usage: prune-compile MODEL [options]',
    '       prune-compile COMMAND ... [options]',
    '',
    ...wrapText(
      'Compiles a pruned ONNX model into a faster one that computes the same function, runs both to check it, and measures them.',
      WIDTH,
    ),
    '',
    'Commands:',
    ...commands,
    ...optionGroups('compile'),
    '',
    ...wrapText(
      'Options also come from PRUNE_COMPILE_ variables (PRUNE_COMPILE_MIN_SPEEDUP=1.5) and from --config FILE; flags override variables, variables override the file.',
      WIDTH,
    ),
    '',
    ...wrapText('prune-compile COMMAND --help has the options of the other commands.', WIDTH),
    '',
    'Exit codes:',
    ...EXIT_CODES.flatMap(([code, meaning]) => row(`  ${code}`, meaning, 7)),
    '',
    ...examples([...EXAMPLES.compile, ...EXAMPLES.why, ...EXAMPLES.bench.slice(0, 1)]),
  ];
}

function commandHelp(command: CommandName): string[] {
  const { usage, summary } = COMMANDS[command];
  return [
    `Usage: prune-compile ${command}${usage === '' ? '' : ` ${usage}`} [options]`,
    '',
    ...wrapText(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`, WIDTH),
    ...optionGroups(command),
    '',
    ...examples(EXAMPLES[command]),
  ];
}

function optionGroups(command: CommandName): string[] {
  return GROUPS.flatMap((group) => {
    const keys = OPTION_KEYS.filter((key) => SPECS[key].group === group && SPECS[key].commands.includes(command));
    const rows = keys.flatMap((key) => row(signature(key), SPECS[key].helpOf?.[command] ?? SPECS[key].help));
    const general =
      group === 'General' ? [...row('  -h, --help', 'this help'), ...row('  -V, --version', 'the version')] : [];
    return rows.length + general.length === 0 ? [] : ['', `${group}:`, ...rows, ...general];
  });
}

function signature(key: OptionKey): string {
  const { alias, value } = SPECS[key];
  return `  ${alias === undefined ? '   ' : `-${alias},`} ${shownFlag(key)}${value === undefined ? '' : ` ${value}`}`;
}

function row(left: string, text: string, at = TEXT_AT): string[] {
  const indent = ' '.repeat(at);
  const [first = '', ...more] = wrapText(text, WIDTH - at);
  const rest = more.map((line) => indent + line);
  return left.length < at - 1 ? [left.padEnd(at) + first, ...rest] : [left, indent + first, ...rest];
}

function examples(list: readonly (readonly [string, string])[]): string[] {
  return [
    'Examples:',
    ...list.flatMap(([command, what]) => [`  ${command}`, ...(what === '' ? [] : [`      ${what}`])]),
  ];
}
