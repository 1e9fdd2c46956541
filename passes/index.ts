/** The passes by name, and presets as data. */
import { chainSparse } from './chain-sparse.js';
import { closeTargets } from './close-targets.js';
import { compileSubgraphs } from './compile-subgraphs.js';
import { convertSparse } from './convert-sparse.js';
import { dropZeroStates } from './drop-zero-states.js';
import { foldConstants } from './fold-constants.js';
import { foldShapes } from './fold-shapes.js';
import { gatherShuffles } from './gather-shuffles.js';
import { joinPads } from './join-pads.js';
import { keepBatchApart } from './keep-batch-apart.js';
import { partDirections } from './part-directions.js';
import { partGates } from './part-gates.js';
import { markTileMajor } from './mark-tile-major.js';
import type { Pass } from './pass.js';
import { removeChannels } from './remove-channels.js';
import { removeConstantBranches } from './remove-constant-branches.js';
import { removeDeadNodes } from './remove-dead-nodes.js';
import { replaceConstantInputs } from './replace-constant-inputs.js';

export const passes: readonly Pass[] = [
  chainSparse,
  closeTargets,
  compileSubgraphs,
  convertSparse,
  dropZeroStates,
  foldConstants,
  foldShapes,
  gatherShuffles,
  joinPads,
  keepBatchApart,
  markTileMajor,
  partDirections,
  partGates,
  removeConstantBranches,
  removeChannels,
  removeDeadNodes,
  replaceConstantInputs,
];

/**
 * Names in the order they run; the whole list is repeated until nothing changes. Those that run last
 * follow then, once.
 */
export const pipelines = {
  structured: [
    'fold-constants',
    'fold-shapes',
    'compile-subgraphs',
    'join-pads',
    'drop-zero-states',
    'keep-batch-apart',
    'remove-dead-nodes',
    'remove-constant-branches',
    'replace-constant-inputs',
    'gather-shuffles',
    'part-directions',
    'part-gates',
    'remove-dead-nodes',
    'remove-channels',
    'remove-dead-nodes',
    'close-targets',
  ],
  /**
   * What `inspect` and `why` look at: masks multiplied in, computed shapes known, nothing removed.
   */
  inspection: [
    'fold-constants',
    'fold-shapes',
    'join-pads',
    'drop-zero-states',
    'keep-batch-apart',
    'remove-dead-nodes',
  ],
  /** Runs once, after all others: what it makes no rule knows any more. */
  sparse: ['convert-sparse', 'chain-sparse', 'mark-tile-major', 'remove-dead-nodes'],
} as const satisfies Readonly<Record<string, readonly string[]>>;
