/**
 * docs/operators.md: what is followed through each operator, as its row says it of the examples that
 * the conformance test runs.
 */
import type { AnalyzedNode } from '../../src/channels/analyzed-node.js';
import { isOperand } from '../../src/channels/positions.js';
import { readModel } from '../../src/onnx/read.js';
import type { Link } from '../../src/ops/axes.js';
import type { Operator } from '../../src/ops/operator.js';
import { operatorOf, operators } from '../../src/ops/registry.js';
import { passContext } from '../../src/pipeline.js';
import { EXAMPLES, exampleModel } from './examples.js';
import { NEWEST_OPSET, PINNED, STANDARD } from './standard-operators.js';

/** What the examples of one operator show. */
interface Shown {
  readonly opsets: Set<number>;
  readonly followed: Set<string>;
  readonly constants: Set<string>;
}

const DEFAULT_OPSET = 17;

export async function operatorsPage(): Promise<string> {
  const shown = await showAll();
  const followed = operators.filter((operator) => (shown.get(operator)?.followed.size ?? 0) > 0);
  const rest = operators.filter((operator) => !followed.includes(operator) && !isNative(operator));
  const unknown = STANDARD.filter((type) => operatorOf({ domain: '', opType: type }) === undefined);
  return `${HEAD}
## Followed

${table(
  ['operator', 'opsets tried', 'what goes with what', 'constants'],
  followed.toSorted(byName).map((operator) => {
    const { opsets, followed: axes, constants } = shown.get(operator) ?? EMPTY;
    return [
      nameOf(operator),
      listed([...opsets].toSorted((a, b) => a - b)),
      [...axes].join(' or '),
      listed([...constants]),
    ];
  }),
)}

## Known in part

Channels stay. Something else is known.

${table(
  ['operator', 'why channels stay', 'what is known'],
  rest.toSorted(byName).map((operator) => [nameOf(operator), reasonOf(operator.type), knownOf(operator)]),
)}

## Not known

The operators of ai.onnx up to opset ${NEWEST_OPSET} that nothing is known of. Whatever they read or write stays.

${table(
  ['why', 'operators'],
  PINNED.map(([reason, names]) => [reason, names.filter((name) => unknown.includes(name)).join(', ')]).filter(
    ([, names]) => names !== '',
  ),
)}
`;
}

/** Operators without a row, or without axes, of which no reason is given. */
export function unexplained(): string[] {
  const explained = new Set(PINNED.flatMap(([, names]) => names));
  const silent = operators.filter((operator) => operator.axes === undefined && !isNative(operator));
  const unknown = STANDARD.filter((type) => operatorOf({ domain: '', opType: type }) === undefined);
  return [...silent.map(({ type }) => type), ...unknown].filter((type) => !explained.has(type));
}

const HEAD = `# Operators

What the compiler knows of each operator, written by \`npm run docs:operators\` from the rows in
\`src/ops\` and the examples of \`test/ops\`, which are run in ONNX Runtime. Unknown means untouched:
channels that reach an operator in a way that is not listed here stay, and the report names the
operator. What a row declines, such as an axis that is computed, stays as well.

- _Opsets tried_ are those that examples are written for: each at which the operator changed.
- _What goes with what_: a channel is removed from all of these together. _Layer_: it has weights,
  sums over one axis of its input and makes one of its output. \`2 → 1\`: axis 2 of the input is axis
  1 of the output; _to other indices_: as its attributes say. Constant operands, such as a scale per
  channel, go with it. What is not listed is pinned. Most examples are [batch, channels, rows,
  columns].
- _Constants_: what becomes of a channel that is one number. _Asked_: ONNX Runtime computes it.
  _Chosen_: it is one of the operands, or follows without arithmetic. _Exact alone_: numbers that
  went through arithmetic are not taken. _By place_: also numbers that depend on the place alone.
`;

const EMPTY: Shown = { opsets: new Set(), followed: new Set(), constants: new Set() };

async function showAll(): Promise<Map<Operator, Shown>> {
  const all = new Map<Operator, Shown>();
  for (const [key, examples] of Object.entries(EXAMPLES)) {
    const [type = '', given] = key.split('@');
    const opset = Number(given ?? DEFAULT_OPSET);
    for (const apply of examples) {
      const { nodes } = await passContext(readModel(exampleModel(apply, 0.7, opset))).facts();
      for (const at of nodes) {
        const operator = at.node.opType === type ? operatorOf(at.node) : undefined;
        if (operator === undefined || at.node.name === 'mix') continue;
        const shown = all.get(operator) ?? { opsets: new Set(), followed: new Set(), constants: new Set() };
        all.set(operator, shown);
        if (at.relation === undefined) continue;
        shown.opsets.add(opset);
        for (const text of followedBy(at)) shown.followed.add(text);
        for (const text of constantsOf(at)) shown.constants.add(text);
      }
    }
  }
  return all;
}

function followedBy(at: AnalyzedNode): string[] {
  const { relation } = at;
  if (relation === undefined) return [];
  if (relation.kind === 'extents') return ['extents that are read are pinned'];
  if (relation.kind !== 'pointwise') {
    const groups = relation.kind === 'grouped' ? ', in groups' : '';
    return [`layer: ${relation.x.axis} → ${relation.y.axis}${groups}${relation.padded ? ', zero-padded' : ''}`];
  }
  const parts = (relation.choices ?? []).flat().map(({ input, output }) => pairText(input.axis, output.axis));
  return [
    ...(relation.links.length === 0 ? [] : [linkedAxes(at, relation.links)]),
    ...(parts.length === 0 ? [] : [`one of ${[...new Set(parts)].join(', ')}`]),
    ...(relation.sums === undefined ? [] : ['what two operands sum over']),
  ];
}

function pairText(input: number, output: number): string {
  return input === output ? `${input}` : `${input} → ${output}`;
}

/** Of what is no constant: operands that are go with it wherever they broadcast. */
function linkedAxes({ site, inSlots }: AnalyzedNode, links: readonly Link[]): string {
  const ofData = links.filter(({ input }) => {
    const slot = inSlots[input.index];
    return slot !== undefined && !isOperand(slot);
  });
  const rank = site.outDims(0)?.length ?? 0;
  const pairs = [...new Set(ofData.map(({ input, output }) => pairText(input.axis, output.axis)))].toSorted();
  const isEvery = pairs.length === rank && pairs.every((pair) => !pair.includes('→'));
  const moves = ofData.some(({ blocks }) => blocks !== undefined);
  return `${isEvery ? 'every axis' : `axes ${pairs.join(', ')}`}${moves ? ', to other indices' : ''}`;
}

function constantsOf({ relation }: AnalyzedNode): string[] {
  if (relation?.kind === 'linear' || relation?.kind === 'grouped') return ['summed'];
  if (relation?.kind !== 'pointwise') return [];
  return [
    ...(relation.constant === undefined ? [] : ['chosen']),
    ...(relation.isAsked === true ? ['asked'] : []),
    ...(relation.jumps === true ? ['exact alone'] : []),
    ...(relation.samePlace === true ? ['by place'] : []),
  ];
}

function knownOf(operator: Operator): string {
  const facts: readonly (readonly [unknown, string])[] = [
    [operator.needsAllChannels, 'that it needs all channels'],
    [operator.weights ?? operator.storedWeights, 'its weights'],
    [operator.macs, 'its cost'],
    [operator.shapeElements ?? operator.resultExtents ?? operator.extentKey ?? operator.partExtents, 'its shapes'],
    [operator.stored, 'the tensor in it'],
    [operator.movesData, 'that it moves data'],
    [operator.alias ?? operator.isCopy, 'that it copies'],
    [operator.notFolded, 'that it is not computed in advance'],
    [operator.gates, 'the order of its gates'],
    [operator.doubt, 'where shape inference is wrong'],
  ];
  return facts.flatMap(([fact, text]) => (fact === undefined ? [] : [text])).join(', ') || 'its name';
}

function reasonOf(type: string): string {
  return PINNED.find(([, names]) => names.includes(type))?.[0] ?? 'in no form that an example has';
}

/** What the compiler itself writes: nothing is removed from it any more. */
function isNative({ nativeWeights, domain }: Operator): boolean {
  return nativeWeights !== undefined || domain === 'prune_compile';
}

function nameOf({ type, domain = '' }: Operator): string {
  return domain === '' ? `\`${type}\`` : `\`${domain}::${type}\``;
}

function byName(one: Operator, other: Operator): number {
  const key = ({ type, domain = '' }: Operator) => `${domain} ${type}`;
  return key(one) < key(other) ? -1 : 1;
}

function listed(texts: readonly (string | number)[]): string {
  return texts.join(', ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}
