/**
 * Parameters and buffers that no operand is: gates that are sliced and joined for an LSTM, tables
 * that are gathered, integers. Where nothing was taken from what is computed from them, they are as
 * they were.
 */
import type { Constants } from '../graph-info/constants.js';
import type { GraphInfo } from '../graph-info/graph-info.js';
import type { Node, Value } from '../ir/graph.js';
import type { Tensor } from '../ir/tensor.js';
import { moduleOfParameter } from '../onnx/module-path.js';
import { storedAs } from '../ops/aliases.js';
import { readsExtents } from '../ops/parameters.js';
import { isNameOfParameter, parameterName, type ParameterList } from './parameter-names.js';

/**
 * One place where a node with data reads something that is computed from the parameter, in the
 * original model.
 */
interface Reading {
  readonly node: Node;
  readonly input: number;
  readonly value: Value | undefined;
  readonly tensor: Tensor | undefined;
}

export interface HeldParameter {
  readonly name: string;
  /** As it is in the original model. */
  readonly tensor: Tensor;
  readonly readings: readonly Reading[];
}

/** `known` are those that are operands themselves. */
export function heldParameters(
  graphInfo: GraphInfo,
  list: ParameterList,
  known: ReadonlySet<string>,
): readonly HeldParameter[] {
  const held = new Map<string, HeldParameter>();
  for (const value of graphInfo.graph.values.values()) {
    const name = parameterName(value.name);
    const tensor = storedAs(value).initializer;
    if (tensor === undefined || known.has(name) || held.has(name) || !isNameOfParameter(value, list)) continue;
    if (list.listed?.has(name) ?? (list.isTorchScript || moduleOfParameter(name) !== undefined))
      held.set(name, { name, tensor, readings: readingsOf(value, graphInfo) });
  }
  return [...held.values()];
}

/**
 * Whether it is still needed by the compiled model, and whether it is as it was; `constants`: now.
 */
export function fateOf({ readings }: HeldParameter, live: ReadonlySet<Node>, constants: Constants) {
  const left = readings.filter(({ node }) => live.has(node));
  const changed = left.find(({ node, input, value, tensor }) => {
    const now = node.inputs[input];
    const tensorNow = constants.tensor(now);
    return tensor === undefined || tensorNow === undefined ? now !== value : !isSame(tensor, tensorNow);
  });
  return { isNeeded: left.length > 0 || readings.length === 0, changed: changed?.node };
}

function isSame(one: Tensor, other: Tensor): boolean {
  if (one === other) return true;
  return one.dims.join() === other.dims.join() && Buffer.compare(one.bytes(), other.bytes()) === 0;
}

function readingsOf(value: Value, { constants }: GraphInfo): Reading[] {
  const found: Reading[] = [];
  const seen = new Set([value]);
  for (const { uses } of seen)
    for (const { node, index } of uses) {
      if (readsExtents(node)) continue;
      const read = node.inputs[index];
      if (!node.outputs.every((output) => constants.has(output)))
        found.push({ node, input: index, value: read, tensor: constants.tensor(read) });
      else for (const output of node.outputs) if (output !== undefined) seen.add(output);
    }
  return found;
}
