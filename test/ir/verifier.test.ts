/** Every invariant, broken by hand behind the editor's back, is noticed and named. */
import { describe, expect, test } from 'vitest';
import { Value } from '../../src/ir/graph.js';
import { verifyGraph } from '../../src/ir/verifier.js';
import type { Model } from '../../src/onnx/read.js';
import { nodeOf, sample, valueOf } from './graphs.js';

const BREAKS: Record<string, { readonly by: (model: Model) => void; readonly says: string }> = {
  'nodes out of order': {
    by: ({ graph }) => void graph.nodes.push(...graph.nodes.splice(0).toReversed()),
    says: 'add reads b before it is computed',
  },
  'a node gone from the list': {
    by: (model) => void model.graph.nodes.splice(model.graph.nodes.indexOf(nodeOf(model, 'relu')), 1),
    says: 'second reads captured before it is computed',
  },
  'an input without its use': {
    by: (model) => void valueOf(model, 'b').uses.pop(),
    says: 'add input 0 is missing from the uses of b',
  },
  'a use without its input': {
    by: (model) => void valueOf(model, 'a').uses.push({ node: nodeOf(model, 'add'), index: 5 }),
    says: 'a lists a use by add that does not exist',
  },
  'a value gone from the graph': {
    by: ({ graph }) => void graph.values.delete('b'),
    says: 'b is not a value of the graph',
  },
  'another value of the same name': {
    by: ({ graph }) => void graph.values.set('b', new Value('b')),
    says: 'b is not a value of the graph',
  },
  'a producer that is not': {
    by: (model) => void (valueOf(model, 'b').producer = undefined),
    says: 'b does not know its producer second',
  },
  'two producers': {
    by: (model) => void nodeOf(model, 'relu').outputs.push(valueOf(model, 'a')),
    says: 'a is defined twice',
  },
  'a node that writes a weight': {
    by: (model) => void nodeOf(model, 'add').outputs.push(valueOf(model, 'w')),
    says: 'w is defined twice',
  },
  'a weight without contents': {
    by: (model) => {
      valueOf(model, 'w').initializer = undefined;
      valueOf(model, 'w').isGraphInput = false;
    },
    says: 'first reads w before it is computed',
  },
  'what a subgraph reads is gone': {
    by: (model) => {
      const ghost = new Value('ghost');
      ghost.capturedBy.push(nodeOf(model, 'if'));
      model.graph.values.set('ghost', ghost);
    },
    says: 'ghost, read inside a subgraph of if, is gone',
  },
  'an output that nobody computes': {
    by: ({ graph }) => void graph.outputs.push(new Value('nowhere')),
    says: 'graph output nowhere is not computed',
  },
};

describe('verifier', () => {
  test('a sound graph has no problems', () => expect(verifyGraph(sample().graph)).toEqual([]));

  test.each(Object.entries(BREAKS))('%s', (_, { by, says }) => {
    const model = sample();
    by(model);
    expect(verifyGraph(model.graph)).toContain(says);
  });
});
