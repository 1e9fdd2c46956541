/** Every edit, what it does, and that it leaves no trace when it is rolled back. */
import { describe, expect, test } from 'vitest';
import { PruneCompileError } from '../../src/errors.js';
import { Abandon, Editor } from '../../src/ir/editor.js';
import { FLOAT, Tensor } from '../../src/ir/tensor.js';
import { verifyGraph } from '../../src/ir/verifier.js';
import type { Model } from '../../src/onnx/read.js';
import { encodeModel } from '../../src/onnx/write.js';
import { nodeOf, sample, stateOf, valueOf } from './graphs.js';

const tensor = Tensor.fromNumbers(FLOAT, [2], [5, 6]);

type Edit = (editor: Editor, model: Model) => void;

/** Sound on their own; each is done, checked, and done again and given up. */
const EDITS: Record<string, Edit> = {
  setInput: (editor, model) => editor.setInput(nodeOf(model, 'second'), 0, valueOf(model, 'a')),
  'setInput of an absent optional input': (editor, model) =>
    editor.setInput(nodeOf(model, 'second'), 2, valueOf(model, 'w')),
  'setInput to nothing': (editor, model) => editor.setInput(nodeOf(model, 'add'), 1, undefined),
  setAttribute: (editor, model) => editor.setAttribute(nodeOf(model, 'first'), 'group', { kind: 'int', value: 2 }),
  'setAttribute that is new': (editor, model) =>
    editor.setAttribute(nodeOf(model, 'relu'), 'new', { kind: 'float', value: 1 }),
  rewriteInitializer: (editor, model) => editor.rewriteInitializer(valueOf(model, 'w'), tensor),
  addInitializer: (editor, model) => editor.setInput(nodeOf(model, 'second'), 2, editor.addInitializer('bias', tensor)),
  addNode: (editor, model) => {
    const spec = { opType: 'Neg', name: 'neg', inputs: [valueOf(model, 'x')], outputs: ['a'] };
    editor.setInput(nodeOf(model, 'relu'), 0, editor.addNode(spec, nodeOf(model, 'relu')).outputs[0]);
  },
  'addNode at the end': (editor, model) =>
    void editor.addNode({ opType: 'Neg', name: 'neg', inputs: [valueOf(model, 'y')], outputs: ['z'] }),
  insertAfter: (editor, model) => {
    editor.insertAfter(valueOf(model, 'captured'), {
      opType: 'Mul',
      name: 'mul',
      inputs: (inner) => [inner, valueOf(model, 'w')],
    });
  },
  'insertAfter before a graph output': (editor, model) => {
    editor.insertAfter(valueOf(model, 'a'), { opType: 'Neg', name: 'neg', inputs: (inner) => [inner] });
  },
  swapProducers: (editor, model) => {
    const spec = { opType: 'Neg', name: 'neg', inputs: [valueOf(model, 'x')], outputs: ['made'] };
    const [made] = editor.addNode(spec, valueOf(model, 'a').producer).outputs;
    if (made !== undefined) editor.swapProducers(valueOf(model, 'a'), made);
  },
  replaceAllUsesWith: (editor, model) => editor.replaceAllUsesWith(valueOf(model, 'a'), valueOf(model, 'x')),
  'replaceAllUsesWith except one': (editor, model) =>
    editor.replaceAllUsesWith(valueOf(model, 'w'), valueOf(model, 'x'), nodeOf(model, 'first')),
  removeNode: (editor, model) => {
    editor.setInput(nodeOf(model, 'add'), 0, valueOf(model, 'a'));
    editor.removeNode(nodeOf(model, 'second'));
  },
  'removeNode with a subgraph': (editor, model) => {
    editor.setInput(nodeOf(model, 'add'), 1, valueOf(model, 'b'));
    editor.removeNode(nodeOf(model, 'if'));
  },
  'removeValue that is a graph input too': (editor, model) => {
    for (const name of ['first', 'second']) editor.setInput(nodeOf(model, name), 1, valueOf(model, 'x'));
    editor.removeValue(valueOf(model, 'w'));
  },
};

describe('constant operands', () => {
  const cutWeight = (editor: Editor, model: Model) => {
    const first = { node: nodeOf(model, 'first'), index: 1 };
    editor.sliceOperand(first, editor.addInitializer('w', tensor), [[0, 1]]);
    editor.rewriteOperand({ node: nodeOf(model, 'second'), index: 1 }, editor.addInitializer('w', tensor));
  };

  test('are not exchanged without a word about it', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    const exchange = () => editor.setInput(nodeOf(model, 'first'), 1, editor.addInitializer('w', tensor));
    expect(() => editor.transaction('exchange', exchange)).toThrow('what becomes of it must be recorded');
  });

  test('what became of them is recorded with the edit, and taken back with it', () => {
    const model = sample();
    const { provenance, ...editor } = withEditor(model);
    const [first, second] = [nodeOf(model, 'first'), nodeOf(model, 'second')];
    const recorded = () => [
      provenance.keptOf(first, 1),
      provenance.isRewritten(first, 1),
      provenance.isRewritten(second, 1),
    ];
    const untouched = [[], false, false];
    expect(editor.run(cutWeight, true)).toBe(false);
    expect(recorded()).toEqual(untouched);
    const revert = editor.checkpoint();
    expect(editor.run(cutWeight)).toBe(true);
    expect(recorded()).toEqual([[[0, 1]], false, true]);
    revert();
    expect(recorded()).toEqual(untouched);
  });

  function withEditor(model: Model) {
    const editor = new Editor(model.graph);
    return {
      provenance: editor.provenance,
      checkpoint: () => editor.checkpoint(),
      run: (edit: Edit, isGivenUp = false) =>
        editor.transaction('edit', () => {
          edit(editor, model);
          if (isGivenUp) throw new Abandon();
        }),
    };
  }
});

describe('fresh names', () => {
  test('are the first that are free, also after some became free again', () => {
    const { graph } = sample();
    const editor = new Editor(graph);
    const add = () => editor.addInitializer('w', tensor);
    const names: string[] = [];
    editor.transaction('add and remove', () => {
      const made = [add(), add(), add()];
      names.push(...made.map(({ name }) => name));
      if (made[1] !== undefined) editor.removeValue(made[1]);
      names.push(add().name, add().name);
    });
    expect(names).toEqual(['w_2', 'w_3', 'w_4', 'w_3', 'w_5']);
  });

  test('of nodes likewise', () => {
    const { graph } = sample();
    const editor = new Editor(graph);
    const names: string[] = [];
    editor.transaction('add and remove', () => {
      const add = () => {
        const name = graph.freshNodeName('first');
        names.push(name);
        return editor.addNode({ opType: 'Neg', name, inputs: [graph.inputs[0]], outputs: ['z'] });
      };
      add();
      editor.removeNode(add());
      add();
    });
    expect(names).toEqual(['first_2', 'first_3', 'first_3']);
  });
});

describe('order', () => {
  test('many nodes in front of one stand in the order that they came in', () => {
    const model = sample();
    const { graph } = model;
    const editor = new Editor(graph);
    const anchor = nodeOf(model, 'add');
    // Far more than fit between two floating point numbers.
    const count = 3000;
    editor.transaction('add', () => {
      for (let at = 0; at < count; at++)
        editor.addNode({ opType: 'Neg', name: `n${at}`, inputs: [graph.inputs[0]], outputs: ['z'] }, anchor);
    });
    const end = graph.indexOf(anchor);
    expect(graph.nodes.slice(end - count, end).map(({ name }) => name)).toEqual(
      Array.from({ length: count }, (_, at) => `n${at}`),
    );
    expect(verifyGraph(graph)).toEqual([]);
  });
});

describe('edits', () => {
  test.each(Object.entries(EDITS))('%s keeps the graph sound', (_, edit) => {
    const model = sample();
    const before = stateOf(model);
    const editor = new Editor(model.graph);
    expect(editor.transaction('edit', () => edit(editor, model))).toBe(true);
    expect(verifyGraph(model.graph)).toEqual([]);
    expect(stateOf(model)).not.toBe(before);
    expect(editor.history).toEqual(['edit']);
  });

  test.each(Object.entries(EDITS))('%s is rolled back exactly', (_, edit) => {
    const model = sample();
    const before = stateOf(model);
    const editor = new Editor(model.graph);
    // Given up by the edit itself.
    expect(
      editor.transaction('given up', () => {
        edit(editor, model);
        throw new Abandon();
      }),
    ).toBe(false);
    expect(stateOf(model)).toBe(before);
    // Broken off by a bug.
    expect(() =>
      editor.transaction('bug', () => {
        edit(editor, model);
        throw new RangeError('a bug');
      }),
    ).toThrow('a bug');
    expect(stateOf(model)).toBe(before);
    // Refused by the verifier.
    expect(() =>
      editor.transaction('unsound', () => {
        edit(editor, model);
        editor.setInput(nodeOf(model, 'first'), 0, valueOf(model, 'y'));
      }),
    ).toThrow(PruneCompileError);
    expect(stateOf(model)).toBe(before);
    expect(editor.history).toEqual([]);
  });

  test('all of them, one after the other, come back in one go', () => {
    const model = sample();
    const before = encodeModel(model);
    const editor = new Editor(model.graph);
    const together = [
      'setAttribute',
      'rewriteInitializer',
      'addInitializer',
      'addNode',
      'insertAfter',
      'replaceAllUsesWith',
      'removeNode with a subgraph',
    ];
    expect(
      editor.transaction('all', () => {
        for (const name of together) EDITS[name]?.(editor, model);
        throw new Abandon();
      }),
    ).toBe(false);
    expect(Buffer.compare(encodeModel(model), before)).toBe(0);
  });
});

describe('transactions', () => {
  test('all since a checkpoint are taken back, those before are not', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    editor.transaction('before', () => EDITS['setAttribute']?.(editor, model));
    const before = [stateOf(model), Buffer.from(encodeModel(model)).toString('hex')];
    const revert = editor.checkpoint();
    for (const name of ['addNode', 'insertAfter', 'swapProducers', 'removeNode with a subgraph'])
      expect(editor.transaction(name, () => EDITS[name]?.(editor, model))).toBe(true);
    expect(editor.history).toHaveLength(5);
    expect(stateOf(model)).not.toBe(before[0]);
    revert();
    expect([stateOf(model), Buffer.from(encodeModel(model)).toString('hex')]).toEqual(before);
    expect(editor.history).toEqual(['before']);
    expect(verifyGraph(model.graph)).toEqual([]);
    // Nothing is left to take back.
    editor.transaction('after', () => EDITS['replaceAllUsesWith']?.(editor, model));
    revert();
    expect(editor.history).toEqual(['before', 'after']);
  });

  test('the error of a refused edit names it and how to stop before it', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    editor.transaction('good', () => editor.setAttribute(nodeOf(model, 'relu'), 'x', { kind: 'int', value: 1 }));
    try {
      editor.transaction('remove 3 channels', () => editor.setInput(nodeOf(model, 'first'), 0, valueOf(model, 'y')));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(PruneCompileError);
      expect(error).toMatchObject({
        code: 'E-INTERNAL',
        what: 'the edit "remove 3 channels" would break the graph and was rolled back',
        facts: [
          ['why', 'first reads y before it is computed'],
          ['try', '--stop-after 1'],
        ],
      });
    }
  });

  test('an edit that does nothing is not counted', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    expect(editor.transaction('nothing', () => editor.setInput(nodeOf(model, 'relu'), 0, valueOf(model, 'a')))).toBe(
      false,
    );
    expect(editor.transaction('nothing', () => {})).toBe(false);
    expect(editor.history).toEqual([]);
  });

  test('stopAfter: later ones are not even begun', () => {
    const model = sample();
    const editor = new Editor(model.graph, { stopAfter: 2 });
    const edit = (value: number) => () => editor.setAttribute(nodeOf(model, 'relu'), 'x', { kind: 'int', value });
    expect(editor.stopped).toBe(false);
    expect([
      editor.transaction('1', edit(1)),
      editor.transaction('2', edit(2)),
      editor.transaction('3', edit(3)),
    ]).toEqual([true, true, false]);
    expect([editor.stopped, editor.history, nodeOf(model, 'relu').int('x', 0)]).toEqual([true, ['1', '2'], 2]);
    expect(new Editor(model.graph, { stopAfter: 0 }).stopped).toBe(true);
  });

  test('edits outside a transaction, and one inside another, are bugs', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    const before = stateOf(model);
    expect(() => editor.setInput(nodeOf(model, 'relu'), 0, valueOf(model, 'x'))).toThrow('inside a transaction only');
    expect(() => editor.transaction('outer', () => void editor.transaction('inner', () => {}))).toThrow(
      'inside another one',
    );
    expect(stateOf(model)).toBe(before);
  });
});

describe('names and places', () => {
  test('insertAfter keeps the name for all who read it, subgraphs and outputs too', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    editor.transaction('insertAfter', () => EDITS['insertAfter']?.(editor, model));
    const value = valueOf(model, 'captured');
    expect(value.producer?.name).toBe('mul');
    expect(nodeOf(model, 'relu').outputs[0]?.name).toBe('captured_before_Mul');
    expect(value.capturedBy.map(({ name }) => name)).toEqual(['if']);
    expect(model.graph.nodes.map(({ name }) => name)).toEqual([
      'first',
      'relu',
      'mul',
      'second',
      'condition',
      'if',
      'add',
    ]);
    expect(() =>
      editor.transaction('weight', () =>
        editor.insertAfter(valueOf(model, 'w'), { opType: 'Neg', name: '', inputs: (inner) => [inner] }),
      ),
    ).toThrow('no producer');
  });

  test('new names avoid values and what subgraphs define', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    const names: (string | undefined)[] = [];
    editor.transaction('add', () => {
      for (const wish of ['a', 'a', 'inner', 'new']) names.push(editor.addInitializer(wish, tensor).name);
    });
    expect(names).toEqual(['a_2', 'a_3', 'inner_2', 'new']);
  });

  test('removeNode and removeValue refuse what is in use', () => {
    const model = sample();
    const editor = new Editor(model.graph);
    const before = stateOf(model);
    for (const name of ['first', 'relu', 'add'])
      expect(() => editor.transaction('remove', () => editor.removeNode(nodeOf(model, name)))).toThrow(
        `node ${name} is still in use`,
      );
    for (const name of ['w', 'captured', 'y'])
      expect(() => editor.transaction('remove', () => editor.removeValue(valueOf(model, name)))).toThrow(
        `value ${name} is still in use`,
      );
    expect(stateOf(model)).toBe(before);
  });
});
