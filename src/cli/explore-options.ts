/** The rows of the table that only `explore` has (options.ts). */
import { CRITERIA } from '../mask-maker/choice.js';
import { EXPLORE, onOff, option } from './option-spec.js';
import * as values from './values.js';

export const EXPLORING = {
  granularities: option(
    'Exploring',
    EXPLORE,
    'what one unit is, as of mask --granularity; default: filter and unstructured',
    {
      value: 'LIST',
      repeatable: true,
      read: values.list('granularities', '--granularities filter,unstructured'),
    },
  ),
  ratios: option('Exploring', EXPLORE, 'fractions of the units to prune; default: 0.3 to 0.95 in eight steps', {
    value: 'LIST',
    repeatable: true,
    read: values.shares('--ratios 0.5,0.7,0.9'),
  }),
  criteria: option('Exploring', EXPLORE, `scores, as of mask --criterion; default: l1`, {
    value: 'LIST',
    repeatable: true,
    read: values.someOf(CRITERIA),
  }),
  evaluate: option(
    'Exploring',
    EXPLORE,
    'a command that prints the accuracy of the ONNX file in the place of {}; shows what each speed costs',
    { value: 'CMD', read: values.text('a command', "--evaluate 'python accuracy.py {}'") },
  ),
  budget: option('Exploring', EXPLORE, 'begin no point that would not be ready in time: 90s, 10m, 2h', {
    value: 'TIME',
    read: values.duration('--budget 10m'),
  }),
  shard: option('Exploring', EXPLORE, 'part I of N of the points, for a scheduler; --merge joins the files', {
    value: 'I/N',
    read: values.partOf('--shard 1/4'),
  }),
  merge: option('Exploring', EXPLORE, 'take files of explore instead of a model, and show all of them as one', {
    read: onOff,
  }),
} as const;
