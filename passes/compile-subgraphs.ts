/**
 * compile-subgraphs: the passes run inside the branches and bodies of If, Loop and Scan, too.
 *
 *   If(flag) { Conv, 8 of 16 filters dead -> Relu -> Conv }     =>     If(flag) { Conv, 8 filters -> Relu -> Conv }
 *
 * Exact? As the passes are that run. Whatever goes into a subgraph and comes out of it keeps its
 * shape; a constant from outside that becomes another one inside is stored inside. Declines where
 * the type of what a subgraph reads is not known, and where ONNX Runtime cannot load it alone. Cost:
 * an analysis for each subgraph.
 */
import type { Node } from '../src/ir/graph.js';
import { type Pass, type PassContext, type PassResult, UNCHANGED } from './pass.js';

export const compileSubgraphs: Pass = {
  name: 'compile-subgraphs',
  summary: 'run the passes inside the branches and bodies of If, Loop and Scan',
  exactness: 'rounding',
  entersSubgraphs: true,
  async run(context) {
    const results: PassResult[] = [];
    for (const node of context.editor.graph.nodes.filter(({ hasSubgraph }) => hasSubgraph))
      for (const name of node.attributes.keys()) results.push(await compiled(context, node, name));
    const gains = results.some((result) => result.gains);
    return { changed: gains, gains, remarks: results.flatMap(({ remarks }) => remarks) };
  },
};

async function compiled({ editor, compileSubgraph }: PassContext, node: Node, name: string): Promise<PassResult> {
  const made = await compileSubgraph(node, name);
  if (made === undefined) return UNCHANGED;
  if (made === 'unknown') {
    const why = 'the type of something that it reads is not known, or ONNX Runtime cannot load it alone';
    const message = `the subgraph ${name} of ${node.label} stays as it is: ${why}`;
    return { ...UNCHANGED, remarks: [{ kind: 'missed', message }] };
  }
  const { attribute, captures, defined } = made;
  const gains =
    made.gains &&
    editor.transaction(`compile ${name} of ${node.label}`, () => {
      for (const inside of defined) editor.graph.reservedNames.add(inside);
      editor.setSubgraph(node, name, attribute, captures);
    });
  // They go on saying which pass they are of.
  const remarks = made.remarks.map((remark) => ({
    ...remark,
    ...(remark.node !== undefined && { node: `${remark.node}, inside ${node.label}` }),
  }));
  return { changed: gains, gains, remarks: gains ? remarks : remarks.filter(({ kind }) => kind !== 'applied') };
}
