/**
 * Lists, scalars and mappings beside the tensors of a checkpoint: what may say which channels go is
 * refused by name, whatever it is called; settings, histories and the state of training are not.
 */
import { describe, expect, test } from 'vitest';
import { INT64, Tensor } from '../../src/ir/tensor.js';
import { FileTensor } from '../../src/masks/contents.js';
import { bind, codeOf, DIMS, mask, messageOf, named, OUT, pruned, tensor, values } from './bound-masks.js';

const weights = () => ({
  'conv1.weight': tensor(DIMS, values('conv1')),
  'conv1.bias': tensor([OUT], values('bias', OUT)),
  'conv2.weight': tensor([6, OUT, 1, 1], values('conv2', 24)),
});
/** conv1 has no mask of its own: what is said of it elsewhere would be lost. */
const masked = () => ({ ...weights(), 'conv2.weight_mask': mask([6, OUT, 1, 1], [0]) });
const step = () => FileTensor.contiguous(INT64, [], () => Tensor.fromNumbers(INT64, [], [7]).bytes());

describe('what may say which channels go is lost by name', () => {
  const FLAGS = [false, true, true, true];
  test.each<[string, object]>([
    ['active.conv1', { active: { conv1: FLAGS } }],
    ['gates.conv1', { gates: { conv1: [0, 1, 1, 1] } }],
    ['alive.conv1', { alive: { conv1: FLAGS } }],
    ['remaining.conv1', { remaining: { conv1: [1, 2, 3] } }],
    ['keptChannels.conv1', { keptChannels: { conv1: [1, 2, 3] } }],
    ['pruned_idx.conv1', { pruned_idx: { conv1: [0, 1] } }],
    ['prune_idx.conv1', { prune_idx: { conv1: [0] } }],
    ['to_prune.conv1', { to_prune: { conv1: [0, 1] } }],
    ['zeroed.conv1', { zeroed: { conv1: [0, 1] } }],
    ['channels.conv1', { channels: { conv1: [1, 2, 3] } }],
    ['a.b.conv1', { a: { b: { conv1: [1, 2, 3] } } }],
    ['maskx.conv1', { maskx: { conv1: [[0, 1], [2]] } }],
    ['pruner.conv1.remaining', { pruner: { conv1: { remaining: [1, 2, 3] } } }],
    ['left.module.conv1.weight', { left: { 'module.conv1.weight': [1, 2, 3] } }],
    ['left.(conv1, weight)', { left: { '(conv1, weight)': [1, 2, 3] } }],
    ['left./conv1/Conv', { left: { '/conv1/Conv': [1, 2, 3] } }],
    ['left[0][1]', { left: [['conv1', [1, 2, 3]]] }],
    ['left[0].at', { left: [{ layer: 'conv1', at: [1, 2, 3] }] }],
    ['run_lengths.conv1', { run_lengths: { conv1: [1, 1, 2] } }],
    ['keep_dict.conv1', { keep_dict: { conv1: { 0: false } } }],
    ['mask.conv1', { mask: { conv1: false } }],
    ['on.conv1', { on: { conv1: false } }],
    ['on.conv1', { on: { conv1: 0 } }],
    ['pruned.conv1', { pruned: { conv1: 3 } }],
    ['pruned.conv1', { pruned: { conv1: 3n } }],
    ['remaining.conv1', { remaining: { conv1: [] } }],
    ['pruned_names', { pruned_names: ['conv1.weight:0', 'conv1.weight:1'] }],
    ['zeroed', { zeroed: ['conv1'] }],
    ['names', { names: ['conv1[0]'] }],
    ['survivors', { survivors: [[0, 1, 2], [3]] }],
    ['args.prune_idx.conv1', { args: { prune_idx: { conv1: [0, 1] } } }],
    ['hyper_parameters.masks.conv1', { hyper_parameters: { masks: { conv1: [0, 1, 1, 1] } } }],
  ])('%s %o', async (key, beside) => {
    const slots = await named();
    const contents = { state_dict: masked(), ...beside };
    expect(codeOf(() => bind(slots, contents))).toBe('E-MASK-LOST');
    expect(messageOf(() => bind(slots, contents))).toContain(key);
    expect(bind(slots, contents, { map: { [key]: null } }).unmatched).toEqual([key]);
  });

  test.each<[string, object]>([
    ['conv1.on', { 'conv1.on': false }],
    ['conv1.left', { 'conv1.left': [1, 2, 3] }],
    ['conv1._extra_state.left', { 'conv1._extra_state': { left: [1, 2, 3] } }],
  ])('inside the state dict: %s', async (key, beside) => {
    const slots = await named();
    expect(messageOf(() => bind(slots, { state_dict: { ...masked(), ...beside } }))).toContain(`${key} [`);
  });

  test('beside masks alone, by the names of the model', async () => {
    const slots = await named();
    const contents = { masks: { conv2: mask([6, OUT, 1, 1], [0]) }, left: { conv1: [1, 2, 3] } };
    expect(messageOf(() => bind(slots, contents))).toContain('left.conv1 [3]');
    expect(pruned(bind(slots, contents, { map: { 'left.conv1': null } }))).toEqual({ 'conv2.weight': [0] });
  });

  test('of a network whose layers have numbers', async () => {
    const slots = await named('features.');
    const numbered = Object.fromEntries(
      Object.entries(weights()).map(([key, value]) => [key.replace('conv', ''), value]),
    );
    expect(messageOf(() => bind(slots, { state_dict: numbered, left: { 1: [1, 2, 3], 2: [0] } }))).toContain('left.1');
  });

  test('each of a mapping of flags', async () => {
    const slots = await named();
    for (const on of [
      { conv1: false, conv2: true },
      { conv1: 0, conv2: 1 },
    ])
      expect(messageOf(() => bind(slots, { state_dict: masked(), on }))).toContain('on.conv1 [], on.conv2 []');
  });

  test('flags go where --mask-map sends them', async () => {
    const contents = { state_dict: masked(), active: { conv1: FLAGS } };
    const bound = bind(await named(), contents, { map: { 'active.conv1': 'conv1.weight' } });
    expect(pruned(bound)['conv1.weight']).toHaveLength(27);
  });
});

describe('nothing is lost in what trainers write beside the weights', () => {
  const optimizer = () => ({
    state: { 0: { step: step(), exp_avg: tensor(DIMS, values('m')), momentum_buffer: null }, 1: { step: 3 } },
    param_groups: [{ lr: 0.1, betas: [0.9, 0.999], nesterov: false, foreach: null, params: [0, 1, 2] }],
  });
  test.each<[string, object]>([
    [
      'the reference scripts of torchvision',
      {
        model: masked(),
        optimizer: optimizer(),
        lr_scheduler: { milestones: { 16: 1, 22: 1 }, gamma: 0.1, last_epoch: 3, _last_lr: [0.1], verbose: false },
        epoch: 3,
        args: { data_path: '/d', epochs: 26, workers: 16, lr_steps: [16, 22], distributed: true, prune: false },
        scaler: { scale: 65536, growth_factor: 2, growth_interval: 2000, _growth_tracker: 0 },
      },
    ],
    [
      'PyTorch ImageNet example and Network Slimming',
      {
        epoch: 160,
        arch: 'vgg',
        cfg: [64, 'M', 128, 3],
        state_dict: masked(),
        best_prec1: 93.1,
        optimizer: optimizer(),
      },
    ],
    ['rethinking-network-pruning', { cfg: [4, 6], state_dict: masked() }],
    [
      'Lightning',
      {
        epoch: 1,
        global_step: 20,
        'pytorch-lightning_version': '2.6.6',
        state_dict: masked(),
        loops: { fit_loop: { state_dict: {}, 'epoch_loop.batch_progress': { total: { ready: 20, done: 20 } } } },
        callbacks: { "ModelCheckpoint{'monitor': None}": { monitor: null, best_k_models: {}, kth_value: 0 } },
        optimizer_states: [optimizer()],
        lr_schedulers: [{ milestones: [1, 2], base_lrs: [0.1] }],
        MixedPrecision: { scale: 65536, _growth_tracker: 0 },
        hparams_name: 'kwargs',
        hyper_parameters: { widths: [4, 6], layers: ['conv1', 'conv2'], prune: ['conv1'], conv1: { kernel: 3 } },
      },
    ],
    [
      'timm',
      {
        epoch: 3,
        arch: 'resnet50',
        state_dict: masked(),
        optimizer: optimizer(),
        version: 2,
        args: { mean: null, drop_path: null, decay_milestones: [90, 180, 270], input_size: [3, 224, 224] },
        amp_scaler: { scale: 1, _growth_tracker: 0 },
        metric: 71.3,
      },
    ],
    [
      'mmengine',
      {
        meta: {
          cfg: 'model = dict()',
          seed: 0,
          epoch: 12,
          iter: 100,
          dataset_meta: {
            classes: ['cat', 'dog'],
            palette: [
              [220, 20, 60],
              [0, 0, 1],
            ],
          },
        },
        state_dict: masked(),
        optimizer: optimizer(),
        param_schedulers: [{ begin: 0, end: 500, by_epoch: false, _global_step: 3, milestones: { 8: 1, 11: 1 } }],
        message_hub: { log_scalars: { 'train/loss': 0.3 }, runtime_info: { iter: 100, cur_dataloader: [1, 2] } },
      },
    ],
    [
      'ultralytics',
      {
        epoch: -1,
        best_fitness: 0.5,
        model: masked(),
        ema: null,
        updates: 120,
        optimizer: null,
        train_args: { freeze: [0, 1, 2], classes: [0, 1], mask_ratio: 4, overlap_mask: true, imgsz: 640 },
        train_metrics: { 'metrics/mAP50(B)': 0.5, fitness: 1 },
        train_results: { epoch: [1, 2, 3], 'train/box_loss': [3, 2, 1], time: [1, 2, 3] },
        names: { 0: 'person', 1: 'car' },
        date: '2025',
        license: 'AGPL-3.0',
      },
    ],
    [
      'DeepSpeed',
      {
        module: masked(),
        param_shapes: [{ 'conv1.weight': [OUT, 3, 3, 3], 'conv1.bias': [OUT] }],
        frozen_param_shapes: { 'conv2.weight': [6, OUT, 1, 1] },
        shared_params: {},
        global_steps: 7,
        skipped_steps: 0,
        dp_world_size: 2,
        mp_world_size: 1,
        ds_config: { train_batch_size: 8, zero: { stage: 2, keep_gathered: false } },
        lr_scheduler: { last_batch_iteration: 6 },
      },
    ],
    [
      'FSDP and torch.distributed, whose optimizers know names',
      {
        model: masked(),
        optimizer: {
          state: { 'conv1.weight': { step: 3, exp_avg: tensor(DIMS, values('m')) } },
          param_groups: [
            { lr: 0.1, amsgrad: false, params: ['conv1.weight', 'conv1.bias'], param_names: ['conv1.weight'] },
          ],
        },
      },
    ],
    [
      'a description of the layers and their training',
      {
        state_dict: masked(),
        layers: {
          conv1: { kernel_size: [3, 3], stride: [1, 1], padding: [0, 1], in_channels: 3, bias: true, shape: [4, 8, 8] },
        },
        param_sizes: { conv1: 108, conv2: 24 },
        flops: { conv1: 3888, conv2: 24 },
        strides: { conv1: [1, 2] },
        requires_grad: { conv1: true, conv2: false },
        frozen: { conv1: true },
        grad_norms: { conv1: [0.5, 0.25, 1] },
        sparsity: { conv1: [0, 0, 0.5], conv2: [0, 0.25, 0.5] },
        keep_ratio: { conv1: 0.5, conv2: 1 },
        bits: { conv1: 8, conv2: 4 },
      },
    ],
    ['names of layers whose masks the file has', { state_dict: masked(), pruned_layers: ['conv2'], layers: ['conv1'] }],
    [
      'histories and settings',
      {
        state_dict: masked(),
        best_acc: 0.93,
        is_best: true,
        train_acc: [0, 1, 2, 3],
        history: { loss: [3, 2, 1], lr: [1, 0], conv1: [1, 2.5, 3] },
        prune_epochs: [1, 2, 3],
        prune_steps: [10, 20],
        class_to_idx: { cat: 0, dog: 1 },
        mean: [0, 0, 0],
        model_args: { conv1: { widths: [1, 2] }, stages: [2, 3, 1] },
        rng_state: { python: [3, [1, 2, 3], null] },
        seen: [0, 1],
      },
    ],
  ])('%s', async (_, contents) => {
    expect(pruned(bind(await named(), contents))).toEqual({ 'conv2.weight': [0] });
  });
});
