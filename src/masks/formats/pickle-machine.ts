/**
 * The stack, the marks and the memo of the machine in pickle.ts, and what an opcode may do with
 * them.
 */
import type { PickleInput } from './pickle-input.js';
import { Callable, Dict, List, Opaque, setItem, Tuple, type Value } from './pickle-values.js';
import { damaged, notMasks, overLimit, unsafe } from './refuse.js';

export interface PickleTable {
  /** What a name stands for; undefined refuses it. */
  global(module: string, name: string): Value | undefined;
  persistent(id: Value): Value;
}

/**
 * What a pickle may make, in estimated bytes of heap (COST). A tensor costs some 4 KiB with its
 * arguments: 30,000 tensors, where ResNet-152 with its masks and Adam's state has 3,000. Storages
 * are not among them, they lie outside the pickle.
 */
const MOST_HEAP = 2 ** 27;
/**
 * Estimates of what V8 spends: a slot and a boxed number; an object with its array, which grows to
 * 17 slots at the first push; a Map; an entry of a Map; a tensor with its view.
 */
export const COST = { value: 24, sequence: 240, dict: 240, item: 64, call: 640 } as const;
/** A list of pairs, whose keys may be tuples: nothing deeper is copied by anybody. */
const CHARGED_DEPTH = 3;
/** Highest protocol that is written down: PEP 574. */
const NEWEST_PROTOCOL = 5;

export class Machine {
  readonly input: PickleInput;
  readonly #path: string;
  readonly #table: PickleTable;
  readonly #stack: Value[] = [];
  /** Where the stack stood at each MARK: nothing below it can be popped until the mark is taken. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, Value>();
  #spent = 0;

  constructor(input: PickleInput, path: string, table: PickleTable) {
    this.input = input;
    this.#path = path;
    this.#table = table;
  }

  spend(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent > MOST_HEAP)
      throw overLimit(this.#path, `its pickle makes more than ${MOST_HEAP} bytes of objects`);
  }

  push(value: Value, cost: number = COST.value): void {
    this.spend(cost);
    this.#stack.push(value);
  }

  pushText(text: string): void {
    this.push(text, COST.value + 2 * text.length);
  }

  pushTuple(count: number): void {
    const items = Array.from({ length: count }, () => this.pop()).toReversed();
    this.push(new Tuple(items), COST.sequence);
  }

  pop(): Value {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#broken('takes from an empty stack');
    return this.#stack.pop() ?? null;
  }

  peek(): Value {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }

  mark(): void {
    this.spend(COST.value);
    this.#marks.push(this.#stack.length);
  }

  /** Everything above the last mark, which goes with it. */
  popMarked(): Value[] {
    const from = this.#marks.pop();
    if (from === undefined) throw this.#broken('lacks a mark');
    return this.#stack.splice(from);
  }

  /** POP takes a mark where one is on top. */
  popAny(): void {
    if (this.#marks.at(-1) === this.#stack.length && this.#marks.length > 0) this.#marks.pop();
    else this.pop();
  }

  put(index: number | bigint = this.#memo.size): void {
    if (typeof index === 'bigint' || index < 0) throw this.#broken(`memorises under ${index}`);
    this.spend(COST.item);
    this.#memo.set(index, this.peek());
  }

  get(index: number | bigint): void {
    const value = typeof index === 'number' ? this.#memo.get(index) : undefined;
    if (value === undefined) throw this.#broken(`asks for ${index}, which was never memorised`);
    this.push(value);
  }

  append(items: readonly Value[]): void {
    const list = this.peek();
    if (!(list instanceof List)) throw this.#broken('appends to what is no list');
    for (const item of items) list.items.push(item);
  }

  setItems(pairs: readonly Value[]): void {
    const dict = this.peek();
    if (!(dict instanceof Dict) || pairs.length % 2 !== 0) throw this.#broken('sets items of what is no dictionary');
    for (let at = 0; at < pairs.length; at += 2) {
      const [key = null, value = null] = [pairs[at], pairs[at + 1]];
      this.spend(COST.item);
      this.#charge(key, CHARGED_DEPTH);
      setItem(dict, key, value, this.#path);
    }
  }

  global(module: Value, name: Value): Value {
    if (typeof module !== 'string' || typeof name !== 'string') throw this.#broken('names a global without a name');
    const found = this.#table.global(module, name);
    if (found === undefined) throw unsafe(this.#path, `${module}.${name}`.slice(0, 200));
    return found;
  }

  call(callee: Value, args: readonly Value[]): void {
    if (!(callee instanceof Callable)) throw this.#broken('calls what cannot be called');
    this.spend(COST.call);
    for (const arg of args) this.#charge(arg, CHARGED_DEPTH);
    this.push(callee.call(args));
  }

  callTuple(): void {
    const args = this.pop();
    if (!(args instanceof Tuple)) throw this.#broken('calls without arguments');
    this.call(this.pop(), args.items);
  }

  /** NEWOBJ_EX: named arguments, which nothing in any table takes. */
  callNamed(): void {
    const named = this.pop();
    if (!(named instanceof Dict) || named.entries.size > 0) throw this.#broken('calls with named arguments');
    this.callTuple();
  }

  /** OBJ: class and arguments after a mark. */
  callMarked(): void {
    const [callee = null, ...args] = this.popMarked();
    this.call(callee, args);
  }

  build(): void {
    const state = this.pop();
    const target = this.peek();
    // An OrderedDict's attributes, as `_metadata` of a state dict: no tensors and no names in them.
    if (target instanceof Dict) return;
    if (!(target instanceof Opaque) || target.setState === undefined)
      throw this.#broken('gives a state to what has none');
    target.content = target.setState(state);
  }

  persistent(id: Value): void {
    this.push(this.#table.persistent(id), COST.call);
  }

  protocol(): void {
    const version = this.input.u8();
    if (version > NEWEST_PROTOCOL)
      throw notMasks(this.#path, `its pickle protocol ${version} is not known`, 'pickle protocol 2');
  }

  extension(code: number): never {
    throw unsafe(this.#path, `the registered extension ${code}`);
  }

  outOfBand(): never {
    throw notMasks(this.#path, 'parts of its pickle are kept outside it', 'save it with torch.save');
  }

  float(): number {
    const line = this.input.line().trim();
    const value = line.endsWith('inf') ? Number(`${line}inity`.replace('inf', 'Inf')) : Number(line);
    if (line === '' || (Number.isNaN(value) && line !== 'nan')) throw this.#broken('has no number where one belongs');
    return value;
  }

  quoted(): string {
    const line = this.input.line();
    const inner = /^(['"])([^\\]*)\1$/.exec(line.trimEnd())?.[2];
    if (inner === undefined) throw this.#broken('has an odd text of protocol 0');
    return inner;
  }

  boolOrInt(line: string): Value {
    if (line === '00' || line === '01') return line === '01';
    return this.input.decimal(line.trim());
  }

  /**
   * Functions of the table may copy their arguments, and a key is copied into one text: paid for as
   * if they always did, or a few bytes that name the same long text again and again would fill the
   * memory. Pays while it walks.
   */
  #charge(value: Value, depth: number): void {
    if (typeof value === 'string') this.spend(2 * value.length);
    else if (value instanceof Uint8Array) this.spend(value.length);
    else if ((value instanceof List || value instanceof Tuple) && depth > 0) {
      for (const item of value.items) {
        this.spend(COST.item);
        this.#charge(item, depth - 1);
      }
    }
  }

  #broken(does: string) {
    return damaged(this.#path, `its pickle ${does} (before byte ${this.input.position})`);
  }
}
