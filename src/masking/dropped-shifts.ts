/**
 * The meaning `drop`: a filter without a single weight is gone with its bias and the shift of its
 * normalisation.
 */
import type { WeightSlot } from '../masks/slots.js';
import { weightsOf } from '../ops/centred-weights.js';
import { maskCodes, maskTensor, type OperandEdit } from '../masks/apply.js';
import type { Graph, Value } from '../ir/graph.js';
import { codesAt, ownCodes } from './codes.js';
import { product, type Tensor } from '../ir/tensor.js';
import { shiftsBehind } from '../ops/shifts.js';
import { operatorOf } from '../ops/registry.js';
import { type GraphInfo, siteOf } from '../graph-info/graph-info.js';

export interface DroppedShifts {
  readonly edits: readonly OperandEdit[];
  /** Filters without a weight. */
  readonly filters: number;
}

/** `graphInfo` is that of the masked graph; slots name the layers. */
export function droppedShifts(graphInfo: GraphInfo, slots: readonly WeightSlot[]): DroppedShifts {
  const { graph, constants } = graphInfo;
  const edits: OperandEdit[] = [];
  let filters = 0;
  for (const { node, outAxis } of slots) {
    const site = siteOf(node, graphInfo);
    const layer = operatorOf(node)?.weights?.(site);
    const weights = layer === undefined ? undefined : weightsOf(site, layer);
    if (weights === undefined || layer === undefined) continue;
    const channels = emptyFilters(weights, outAxis);
    if (channels.length === 0) continue;
    filters += channels.length;
    const shifted = {
      node,
      biasIndex: layer.bias,
      channels: weights.dims[outAxis] ?? 0,
      spatialRank: layer.axesBehind ?? weights.dims.length - 2,
      isJoined: layer.isJoined === true,
      areSums: layer.codes !== undefined && layer.codes.outputScale === undefined && layer.codes.isScaled !== true,
    };
    for (const shift of shiftsBehind(shifted, (value) => constants.tensor(value)?.dims)) {
      const value = shift.node.inputs[shift.index];
      const tensor = constants.tensor(value);
      if (value === undefined || tensor === undefined) continue;
      const factors = new Uint8Array(tensor.size).fill(1);
      for (const channel of channels) factors[channel] = 0;
      const isForAll = value.initializer !== undefined && value.hasSingleUse;
      const coded = codedEdit(graph, value, tensor, factors);
      if (coded !== undefined) {
        edits.push(coded);
        continue;
      }
      const zeroPoints = shift.zeroPoint === undefined ? undefined : shift.node.inputs[shift.zeroPoint];
      const points = constants.tensor(zeroPoints);
      if (zeroPoints !== undefined && points?.size !== 1) continue;
      const masked =
        shift.zeroPoint === undefined
          ? maskTensor(tensor, factors)
          : maskCodes(tensor, factors, { stored: tensor, zeroPoints: points, axis: 0 });
      edits.push({ node: graph.nodes.indexOf(shift.node), input: shift.index, tensor: masked, isForAll });
    }
  }
  return { edits, filters };
}

/** Where the shift is decoded: its codes at their zero points. */
function codedEdit(graph: Graph, value: Value, { dims }: Tensor, factors: Uint8Array): OperandEdit | undefined {
  const use = ownCodes(value, dims.length);
  const codes = use && codesAt(use, dims.length);
  const stored = use?.node.inputs[use.index];
  if (use === undefined || codes === undefined || codes === null || stored?.initializer === undefined) return undefined;
  const tensor = maskCodes(stored.initializer, factors, codes);
  return { node: graph.nodes.indexOf(use.node), input: use.index, tensor, isForAll: stored.hasSingleUse };
}

function emptyFilters(weights: Tensor, outAxis: number): number[] {
  const values = weights.numbers();
  const extent = weights.dims[outAxis] ?? 0;
  const inner = product(weights.dims.slice(outAxis + 1));
  const live = new Uint8Array(extent);
  for (let at = 0; at < values.length; at++) if (values[at] !== 0) live[Math.floor(at / inner) % extent] = 1;
  return [...live.keys()].filter((filter) => live[filter] === 0);
}
