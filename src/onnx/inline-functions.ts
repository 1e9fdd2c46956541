/**
 * Puts the bodies of a model's own functions (ModelProto.functions, IR 8 and later) in the place of
 * their calls, also of calls inside subgraphs and of other functions. Whatever reads the graph then
 * sees operators.
 *
 * A function stays, and so do its calls, where that would not be exact:
 *   - its body counts on another version of an operator set than the model (opset_import);
 *   - its domain is one that the runtime has operators of: it runs its own operator of that name;
 *   - it calls itself, or there are two of its name;
 *   - a call has more inputs or outputs than the function, or hands it a graph.
 */
import { SPARSE_DOMAIN } from '../ir/graph.js';
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto } from './proto.js';
import { subgraphsOf } from './subgraphs.js';

/** Nodes of a model with all calls inlined; what would have more is left as it is. */
const MOST_NODES = 2 ** 18;

const RUNTIME_DOMAINS = /^(|ai\.onnx(\..+)?|com\.microsoft(\..+)?|com\.ms(\..+)?|org\.pytorch\.aten)$/;

/** What the nodes of a body become in the place of one call. */
interface Call {
  /** Begins the names of what the body defines. */
  readonly place: string;
  readonly rename: (name: string) => string;
  /** Attributes by name, defaults included. */
  readonly given: ReadonlyMap<string, AttributeProto>;
}

/** Changes `model`. Functions that nobody calls stay, as everything does that is not understood. */
export function inlineFunctions(model: ModelProto): void {
  const { graph, functions = [] } = model;
  if (graph === undefined || functions.length === 0) return;
  const inliner = new Inliner(model, functions);
  if (inliner.sizeOf(graph.node ?? []) > MOST_NODES) return;
  const nodes = inliner.expanded(graph.node ?? []);
  if (inliner.inlined.size === 0) return;
  graph.node = nodes;
  model.opsetImport = inliner.imports();
  const called = inliner.calledBy(nodes);
  const left = functions.filter((each) => called.has(each) || !inliner.inlined.has(each));
  if (left.length === 0) delete model.functions;
  else model.functions = left;
}

class Inliner {
  readonly inlined = new Set<FunctionProto>();
  readonly #model: ModelProto;
  readonly #functions = new Map<string, FunctionProto>();
  readonly #versions = new Map<string, string>();
  readonly #sizes = new Map<FunctionProto, number>();
  /** Names of values and nodes, of all graphs together. */
  readonly #taken = new Set<string>();
  /** Domains that inlined bodies use and the model does not import. */
  readonly #added: OperatorSetIdProto[] = [];

  constructor(model: ModelProto, functions: readonly FunctionProto[]) {
    this.#model = model;
    for (const { domain, version } of model.opsetImport ?? [])
      this.#versions.set(plainDomain(domain), String(version ?? 0));
    const ids = functions.map(idOf);
    for (const each of functions) {
      const isSole = ids.indexOf(idOf(each)) === ids.lastIndexOf(idOf(each));
      const callsItself = this.calledBy(each.node ?? []).has(each);
      if (isSole && !callsItself && this.#isExact(each)) this.#functions.set(idOf(each), each);
    }
    collectNames(model.graph ?? {}, this.#taken);
  }

  #isExact({ domain, node: nodes = [], opsetImport = [] }: FunctionProto): boolean {
    if (RUNTIME_DOMAINS.test(plainDomain(domain)) || domain === SPARSE_DOMAIN) return false;
    const own = new Map(opsetImport.map((each) => [plainDomain(each.domain), String(each.version ?? 0)]));
    const used = new Set(allNodes(nodes).map((node) => plainDomain(node.domain)));
    const isSame = (name: string) => own.has(name) && (this.#versions.get(name) ?? own.get(name)) === own.get(name);
    if (![...used].every(isSame)) return false;
    for (const each of opsetImport) {
      const name = plainDomain(each.domain);
      if (!used.has(name) || this.#versions.has(name)) continue;
      this.#versions.set(name, String(each.version ?? 0));
      this.#added.push(each);
    }
    return true;
  }

  /** How many nodes these are with all calls inlined. */
  sizeOf(nodes: readonly NodeProto[]): number {
    return allNodes(nodes).reduce((total, node) => {
      const called = this.#calledBy(node);
      if (called === undefined) return total + 1;
      const known = this.#sizes.get(called) ?? this.sizeOf(called.node ?? []);
      this.#sizes.set(called, known);
      return total + known;
    }, 0);
  }

  imports(): OperatorSetIdProto[] {
    return [...(this.#model.opsetImport ?? []), ...this.#added];
  }

  /** The model's functions that these nodes still call, and those that they call in turn. */
  calledBy(nodes: readonly NodeProto[]): ReadonlySet<FunctionProto> {
    const { functions = [] } = this.#model;
    const calledIn = (list: readonly NodeProto[]) => {
      const ids = new Set(allNodes(list).map(callId));
      return functions.filter((each) => ids.has(idOf(each)));
    };
    const called = new Set(calledIn(nodes));
    for (const { node = [] } of called) for (const each of calledIn(node)) called.add(each);
    return called;
  }

  expanded(nodes: readonly NodeProto[]): NodeProto[] {
    return nodes.flatMap((node) => {
      const called = this.#calledBy(node);
      if (called !== undefined) {
        this.inlined.add(called);
        return this.expanded(this.#bodyOf(called, node));
      }
      return [withSubgraphs(node, (graph) => ({ ...graph, node: this.expanded(graph.node ?? []) }))];
    });
  }

  #calledBy(node: NodeProto): FunctionProto | undefined {
    const called = this.#functions.get(callId(node));
    if (called === undefined) return undefined;
    const fits = (given: readonly string[] = [], formal: readonly string[] = []) => given.length <= formal.length;
    if (subgraphsOf(node).length > 0) return undefined;
    return fits(node.input, called.input) && fits(node.output, called.output) ? called : undefined;
  }

  /** The nodes of the function with the names and attributes of this call. */
  #bodyOf({ input = [], output = [], node: nodes = [], attributeProto }: FunctionProto, call: NodeProto): NodeProto[] {
    const place = nonEmpty(call.name) ?? call.output?.find((name) => name !== '') ?? call.opType ?? '';
    const names = new Map<string, string>([['', '']]);
    for (const [index, formal] of input.entries()) names.set(formal, call.input?.[index] ?? '');
    /** Outputs that no node of the body makes under a name of their own. */
    const copies: NodeProto[] = [];
    for (const [index, formal] of output.entries()) {
      const given = call.output?.[index] ?? '';
      if (!names.has(formal)) names.set(formal, given === '' ? this.#fresh(`${place}/${formal}`) : given);
      else if (given !== '') copies.push({ opType: 'Identity', input: [names.get(formal) ?? ''], output: [given] });
    }
    const rename = (name: string) => names.get(name) ?? name;
    for (const name of nodes.flatMap((node) => node.output ?? []))
      if (!names.has(name)) names.set(name, this.#fresh(`${place}/${name}`));
    const given = new Map(
      [...(attributeProto ?? []), ...(call.attribute ?? [])].map((each) => [each.name ?? '', each]),
    );
    const body = nodes.map((node) => this.#renamed(node, { place, rename, given }));
    return [...body, ...copies.map((copy) => ({ ...copy, name: this.#fresh(`${place}/Identity`) }))];
  }

  #renamed(node: NodeProto, call: Call): NodeProto {
    const { place, rename, given } = call;
    const own = nonEmpty(node.name) ?? node.opType ?? '';
    const attribute = (node.attribute ?? []).flatMap((each) => {
      if (nonEmpty(each.refAttrName) === undefined) return [each];
      const value = given.get(each.refAttrName ?? '');
      // Neither given nor with a default: left out.
      return value === undefined ? [] : [{ ...value, name: each.name ?? '' }];
    });
    const renamed: NodeProto = {
      ...node,
      name: this.#fresh(`${place}/${own}`),
      input: (node.input ?? []).map(rename),
      output: (node.output ?? []).map(rename),
      attribute,
    };
    return withSubgraphs(renamed, (graph) => this.#renamedGraph(graph, call));
  }

  /** What a subgraph defines gets names of its own; what it captures those that it has outside. */
  #renamedGraph(graph: GraphProto, call: Call): GraphProto {
    const { initializer = [], sparseInitializer = [], input = [], output = [], node = [] } = graph;
    const names = new Map<string, string>();
    const define = (name = '') => {
      if (name !== '' && !names.has(name)) names.set(name, this.#fresh(`${call.place}/${name}`));
    };
    for (const { name } of [...input, ...initializer]) define(name);
    for (const { values } of sparseInitializer) define(values?.name);
    for (const name of node.flatMap((each) => each.output ?? [])) define(name);
    const rename = (name: string) => names.get(name) ?? call.rename(name);
    const named = <Named extends { readonly name?: string }>(each: Named): Named => ({
      ...each,
      name: rename(each.name ?? ''),
    });
    const renamed: GraphProto = {
      ...graph,
      input: input.map(named),
      output: output.map(named),
      initializer: initializer.map(named),
      sparseInitializer: sparseInitializer.map((each) => ({
        ...each,
        ...(each.values && { values: named(each.values) }),
      })),
      node: node.map((each) => this.#renamed(each, { ...call, rename })),
    };
    // Both go by names, and are inferred anew, or hints.
    delete renamed.valueInfo;
    delete renamed.quantizationAnnotation;
    return renamed;
  }

  #fresh(wish: string): string {
    let name = wish;
    for (let count = 2; this.#taken.has(name); count++) name = `${wish}_${count}`;
    this.#taken.add(name);
    return name;
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function plainDomain(domain = ''): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function idOf({ domain, name = '', overload = '' }: FunctionProto): string {
  return JSON.stringify([plainDomain(domain), name, overload]);
}

function callId({ domain, opType = '', overload = '' }: NodeProto): string {
  return JSON.stringify([plainDomain(domain), opType, overload]);
}

/** These and the nodes of their subgraphs. */
function allNodes(nodes: readonly NodeProto[]): NodeProto[] {
  return nodes.flatMap((node) => [node, ...subgraphsOf(node).flatMap((graph) => allNodes(graph.node ?? []))]);
}

function withSubgraphs(node: NodeProto, change: (graph: GraphProto) => GraphProto): NodeProto {
  if (subgraphsOf(node).length === 0) return node;
  const attribute = (node.attribute ?? []).map((each) => ({
    ...each,
    ...(each.g !== undefined && { g: change(each.g) }),
    ...(each.graphs !== undefined && { graphs: each.graphs.map(change) }),
  }));
  return { ...node, attribute };
}

function collectNames(graph: GraphProto, names: Set<string>): void {
  const { input = [], output = [], initializer = [], sparseInitializer = [], node: nodes = [] } = graph;
  for (const { name = '' } of [...input, ...output, ...initializer]) names.add(name);
  for (const { values } of sparseInitializer) names.add(values?.name ?? '');
  for (const node of nodes) {
    for (const name of [node.name ?? '', ...(node.input ?? []), ...(node.output ?? [])]) names.add(name);
    for (const inner of subgraphsOf(node)) collectNames(inner, names);
  }
}
