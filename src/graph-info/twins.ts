/**
 * Values that hold the same because they are computed in the same way from the same: exporters
 * write such nodes once per reader.
 */
import type { Attribute, Node, Value } from '../ir/graph.js';
import { storedAs } from '../ops/aliases.js';

/**
 * Nodes are added in the order of the graph; all of them compute constants and give the same in
 * every run.
 */
export class Twins {
  readonly #first = new Map<Value, Value>();
  readonly #byContents = new Map<string, readonly (Value | undefined)[]>();
  readonly #numbers = new Map<Value, number>();

  /** `type` is what the node's result depends on besides its attributes and `inputs`. */
  add(node: Node, inputs: readonly (Value | undefined)[], type = ''): void {
    const attributes = [...node.attributes].toSorted(([one], [other]) => (one < other ? -1 : 1));
    const told = attributes.map(([name, attribute]) => [name, attribute.kind, textOf(attribute)]);
    if (told.some(([, , text]) => text === undefined)) return;
    const read = inputs.map((value) => (value === undefined ? -1 : this.#numberOf(this.first(value))));
    const key = JSON.stringify([node.opType, type, told, read, node.outputs.map((value) => value !== undefined)]);
    const firsts = this.#byContents.get(key);
    if (firsts === undefined) this.#byContents.set(key, node.outputs);
    for (const [index, value] of node.outputs.entries()) {
      const first = firsts?.[index];
      if (value !== undefined && first !== undefined) this.#first.set(value, first);
    }
  }

  /** The value itself where there is none before it. */
  first(value: Value): Value {
    const stored = storedAs(value);
    return this.#first.get(stored) ?? stored;
  }

  #numberOf(value: Value): number {
    const number = this.#numbers.get(value) ?? this.#numbers.size;
    this.#numbers.set(value, number);
    return number;
  }
}

/** Undefined for tensors and graphs: those are not compared. */
function textOf(attribute: Attribute): string | undefined {
  switch (attribute.kind) {
    case 'int':
    case 'float':
    case 'string':
      return String(attribute.value);
    case 'ints':
    case 'floats':
      return attribute.value.join(' ');
    case 'strings':
      return JSON.stringify(attribute.value);
    case 'tensor':
    case 'other':
      return undefined;
  }
}
