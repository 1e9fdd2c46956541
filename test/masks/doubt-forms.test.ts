/**
 * One statement in many forms: which channels of a layer go. Texts, bytes, parallel lists, records
 * and numbers, among anything; each is refused by its key. What looks alike and says nothing of
 * channels is not.
 */
import { describe, expect, test } from 'vitest';
import { BOOL, FLOAT, INT64, Tensor } from '../../src/ir/tensor.js';
import { FileTensor } from '../../src/masks/contents.js';
import { bind, codeOf, DIMS, mask, messageOf, named, OUT, pruned, tensor, values } from './bound-masks.js';

const CONV2 = [6, OUT, 1, 1] as const;
const weights = () => ({
  'conv1.weight': tensor(DIMS, values('conv1')),
  'conv1.bias': tensor([OUT], values('bias', OUT)),
  'conv2.weight': tensor(CONV2, values('conv2', 24)),
});
/** conv1 has no mask of its own: what is said of it elsewhere would be lost. */
const masked = () => ({ ...weights(), 'conv2.weight_mask': mask(CONV2, [0]) });
const typed = (dataType: number, dims: readonly number[], elements: readonly number[]) => {
  const bytes = Tensor.fromNumbers(dataType, dims, elements).bytes();
  return FileTensor.contiguous(dataType, dims, () => bytes);
};
/** conv1 with its second filter zero. */
const holed = () =>
  tensor(
    DIMS,
    values('conv1').map((value, at) => (at >= 27 && at < 54 ? 0 : value)),
  );
const bytes = (...all: number[]) => Uint8Array.from(all);
const NAMES = ['conv1', 'conv2'];

describe('is lost by name', () => {
  test.each<[string, object]>([
    // Texts and bytes.
    ['masks.conv1', { masks: { conv1: '1011' } }],
    ['mask.conv1', { mask: { conv1: bytes(1, 0, 1, 1) } }],
    ['mask', { mask: bytes(1, 0, 1, 1) }],
    ['masks.conv1', { masks: { conv1: bytes(0xb0) } }],
    ['info.conv1', { info: { conv1: bytes(0x41) } }],
    ['pruned_channels.conv1', { pruned_channels: { conv1: '0,3' } }],
    ['pruned_channels.conv1', { pruned_channels: { conv1: '3' } }],
    ['pruned_channels', { pruned_channels: '0,3' }],
    ['pruned.conv1', { pruned: { conv1: ['0', '3'] } }],
    ['kept.conv1', { kept: { conv1: '0 1 2' } }],
    ['info.conv1', { info: { conv1: '1011' } }],
    ['info.conv1', { info: { conv1: '[0, 3]' } }],
    ['info.conv1', { info: { conv1: 'TFTT' } }],
    ['info.conv1', { info: { conv1: 'x.xx' } }],
    ['info.conv1', { info: { conv1: '0b1011' } }],
    ['info.conv1', { info: { conv1: '0xb' } }],
    ['info.conv1', { info: { conv1: 'b0' } }],
    ['info.conv1', { info: { conv1: 'AQABAQ==' } }],
    ['info.conv1', { info: { conv1: 'True, False, True, True' } }],
    ['info.conv1', { info: { conv1: ['True', 'False', 'True', 'True'] } }],
    ['pruned.conv1', { pruned: { conv1: '0-2' } }],
    ['bits[0][1]', { bits: [['conv1', '1011']] }],
    ['bits[0].of', { bits: [{ layer: 'conv1', of: '1011' }] }],
    ['note', { note: 'conv1: [0, 3]' }],
    ['args.prune', { args: { prune: 'conv2=1,2;conv1=0,3' } }],
    ['config.plan', { config: { plan: '{"conv1": [0, 3], "conv2": []}' } }],
    ['notes[1]', { notes: ['resnet', 'conv1=1011'] }],
    ['pruned_layers', { pruned_layers: 'conv1,conv2' }],
    ['zeroed', { zeroed: 'conv1' }],
    ['conv1.alive', { 'conv1.alive': '1011' }],
    // Beside a list of names.
    ['pruner.idx[0]', { pruner: { layers: NAMES, idx: [[0, 3], [1]] } }],
    ['info.idx[0]', { info: { layers: NAMES, idx: [[0, 3], [1]] } }],
    ['config.idx[0]', { config: { layers: NAMES, idx: [[0, 3], [1]] } }],
    ['info.bits[0]', { info: { layers: NAMES, bits: ['1011', '110111'] } }],
    ['info.raw[0]', { info: { layers: NAMES, raw: [bytes(1, 0, 1, 1), bytes(1)] } }],
    ['info.on', { info: { layers: NAMES, on: [false, true] } }],
    ['info.idx', { info: { layers: NAMES, idx: [0, 3, 1], ends: [2, 3] } }],
    ['info.idx.0', { info: { layers: { 0: 'conv1', 1: 'conv2' }, idx: { 0: [0, 3], 1: [1] } } }],
    ['idx[0]', { layers: NAMES, idx: [[0, 3], [1]] }],
    ['info[1][0]', { info: [NAMES, [[0, 3], [1]]] }],
    ['info.groups[0].out', { info: { layers: NAMES, groups: [{ out: [0, 3] }, { out: [1] }] } }],
    // Records and numbers.
    ['history[0].idx', { history: [{ layer: 'conv1', idx: [0, 3] }] }],
    ['info[0].channel', { info: [{ layer: 'conv1', channel: 3 }] }],
    ['info[0]', { info: [['conv1', 0, 3]] }],
    ['removed[0]', { removed: [['conv1', 3]] }],
    ['info.conv1', { info: { conv1: [0, null, 3] } }],
    ['removed.conv1', { removed: { conv1: [-1, -2] } }],
    ['info.conv1', { info: { conv1: [-1, -2] } }],
    ['info.0', { info: { 0: [0, 3], 1: [1, 2] } }],
    ['mask_bits.conv1', { mask_bits: { conv1: 1_000_011 } }],
    ['alive.conv1.0', { alive: { 'conv1.0': true, 'conv1.3': false } }],
    ['importance.conv1', { importance: { conv1: [0.5, 0.25, 0.75, 0.1] } }],
    // Among the state of training and settings.
    ['callbacks.Pruner.conv1', { callbacks: { Pruner: { conv1: [0, 3] } } }],
    ['callbacks.X.conv1', { callbacks: { X: { conv1: [0, 3] } } }],
    ['callbacks.Pruner.removed', { callbacks: { Pruner: { removed: [[0, 3], [1]] } } }],
    ['callbacks.pruned_layers', { callbacks: { pruned_layers: ['conv1'] } }],
    ['config.conv1', { config: { conv1: [0, 3] } }],
    ['config.on.conv1', { config: { on: { conv1: false, conv2: true } } }],
    ['metrics.conv1.left', { metrics: { conv1: { left: [0, 3] } } }],
    ['hparams.conv1', { hparams: { conv1: [true, false, true, true] } }],
    ['history.step_3.conv1', { history: { step_3: { conv1: [0, 3] } } }],
    ['steps[0].conv1', { steps: [{ conv1: [0, 3] }] }],
    ['pruned.epoch_3.conv1', { pruned: { epoch_3: { conv1: [0, 3] } } }],
    ['optimizer.conv1.left', { optimizer: { conv1: { left: [0, 3] } } }],
    ['lr_scheduler.conv1', { lr_scheduler: { conv1: [0, 3] } }],
    ['callbacks.X.conv1', { callbacks: { X: { conv1: typed(INT64, [2], [0, 3]) } } }],
    ['callbacks.X.conv1', { callbacks: { X: { conv1: typed(FLOAT, [2], [1, 3]) } } }],
    ['optimizer.conv1', { optimizer: { conv1: typed(BOOL, [4], [1, 0, 1, 1]) } }],
    ['scaler.conv1.weight', { scaler: { 'conv1.weight': holed() } }],
    ['optimizer.conv1.weight', { optimizer: { 'conv1.weight': holed() } }],
    ['amp.shadow.conv1.weight', { amp: { shadow: { 'conv1.weight': holed() } } }],
  ])('%s %o', async (key, beside) => {
    const slots = await named();
    const contents = { state_dict: masked(), ...beside };
    const map = { [key]: null };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    expect(messageOf(() => bind(slots, contents))).toContain(key);
    // With the others of the form left out as well, nothing is in the way.
    const { unmatched } = bind(slots, contents, { map, allowUnmatched: true });
    expect(unmatched).toContain(key);
  });

  test('also where the words of a quantity are part of the name of a layer', async () => {
    const slots = await named('steps.');
    const renamed = Object.fromEntries(Object.entries(masked()).map(([key, value]) => [`steps.${key}`, value]));
    const contents = { state_dict: renamed, left: { 'steps.conv1': [1, 2, 3] } };
    expect(messageOf(() => bind(slots, contents))).toContain('left.steps.conv1 [3]');
  });

  test('under the very key of a mask a text is no mask at all', async () => {
    const slots = await named();
    for (const said of ['1011', bytes(1, 0, 1, 1)]) {
      const contents = { state_dict: { ...weights(), 'conv1.weight_mask': said } };
      expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-FORMAT');
    }
  });
});

describe('is no loss', () => {
  test.each<[string, object]>([
    [
      'settings of numbers and texts',
      { args: { lr: 0.1, layers: NAMES, arch: 'resnet50', seed: 3, betas: [0.9, 0.999] } },
    ],
    ['lists of layers to freeze or prune', { config: { freeze: ['conv1'], prune: ['conv1'], exclude: 'conv1' } }],
    [
      'numbers beside a list of layers',
      { config: { layers: NAMES, widths: [4, 6], milestones: [30, 60], mean: [0, 0] } },
    ],
    [
      'sizes beside a list of layers',
      {
        config: {
          layers: NAMES,
          kernel_sizes: [
            [3, 3],
            [1, 1],
          ],
          strides: [
            [1, 2],
            [1, 1],
          ],
        },
      },
    ],
    [
      'settings of a layer',
      { config: { conv1: [4, 3], conv2: { out: 6, activation: 'relu' }, bias: { conv1: true, conv2: false } } },
    ],
    ['learning rates of layers', { config: { lr_mult: { conv1: 0, conv2: 1 }, weight_decay: { conv1: 0 } } }],
    [
      'words for layers',
      { method: { conv1: 'ln_structured', conv2: 'l1' }, pruner: { conv1: 'l1_norm', name: 'fpgm' } },
    ],
    [
      'texts',
      {
        git: 'b6c01ff',
        date: '2025-01-01 10:11:00',
        version: '1.10',
        pruned_at: '2025-01-01',
        cmd: 'train.py --lr 0.1',
      },
    ],
    [
      'a text of settings',
      { cfg: 'model = dict(conv1=dict(stride=2), conv2=6, out_indices=(0, 1, 2), shape=[conv1, (4, 3)])' },
    ],
    [
      'a printed network',
      { repr: '(conv1): Conv2d(3, 4, kernel_size=(3, 3))\n(conv2): Conv2d(4, 6, kernel_size=(1, 1))' },
    ],
    ['bytes of no layer', { blob: bytes(1, 0, 1, 1), rng_state: { python: bytes(1, 0) }, git: bytes(65, 66) }],
    [
      'groups of an optimizer',
      { optimizer: { state: {}, param_groups: [{ name: 'conv1', params: [0, 1], lr: 0.1, nesterov: false }] } },
    ],
    [
      'steps of an optimizer by name',
      { optimizer: { state: { 'conv1.weight': { step: 3, exp_avg: holed() } }, steps: { conv1: 1 } } },
    ],
    [
      'moments by name',
      { optimizer: { momentum: { 'conv1.weight': holed() }, v: { 'conv2.weight': tensor(CONV2, values('v', 24)) } } },
    ],
    ['fresh zeros of an optimizer', { optimizer: { 'conv1.weight': tensor(DIMS, new Float64Array(108)) } }],
    [
      'norms and losses of layers',
      { metrics: { conv1: [0.5, 0.25], loss: [3, 2, 1] }, history: { conv1: [0.5, 1.5], acc: { conv1: 1 } } },
    ],
    [
      'steps and ratios of layers',
      { prune_steps: { conv1: [10, 20] }, sparsity: { conv1: 0, conv2: 1 }, prune_ratio: { conv1: [0, 1] } },
    ],
    [
      'numbers by number',
      { names: { 0: 'person', 1: 'car' }, palette: { 0: [220, 20, 60], 1: [0, 0, 1] }, milestones: { 16: 1, 22: 1 } },
    ],
    [
      'anchors',
      {
        anchors: [
          [10, 13, 16, 30],
          [30, 61, 62, 45],
        ],
        stages: [
          [3, 64],
          [4, 128],
        ],
      },
    ],
    [
      'the state of the Trainer of transformers',
      {
        trainer_state: {
          best_metric: 0.5,
          epoch: 3,
          global_step: 100,
          log_history: [{ epoch: 1, loss: 0.5, step: 50 }],
          is_world_process_zero: true,
        },
        training_args: { output_dir: 'out', fp16: false, label_names: ['labels'], logging_steps: 10 },
        id2label: { 0: 'cat', 1: 'dog' },
      },
    ],
    [
      'the same weights once more, zeros and all',
      {
        callbacks: {
          EMA: {
            'conv2.weight': tensor(
              CONV2,
              values('conv2', 24).map((value, at) => (at === 0 ? 0 : value)),
            ),
          },
        },
      },
    ],
  ])('%s', async (_, beside) => {
    const slots = await named();
    expect(pruned(bind(slots, { state_dict: masked(), ...beside }))).toEqual({ 'conv2.weight': [0] });
    expect(pruned(bind(slots, { model: masked(), epoch: 3, ...beside }))).toEqual({ 'conv2.weight': [0] });
  });
});
