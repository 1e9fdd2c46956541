/**
 * A machine for Python pickles, protocols 0 to 5, after the description of the opcodes in CPython's
 * Lib/pickletools.py. It knows containers and scalars. Globals and persistent ids go to a table of
 * the caller's; a name that is not in it is refused, so that there is nothing that a file could
 * have called. It has a stack of its own and never recurses.
 */
import { PickleInput } from './pickle-input.js';
import { COST, Machine, type PickleTable } from './pickle-machine.js';
import { Dict, List, Tuple, type Value } from './pickle-values.js';
import { damaged } from './refuse.js';

/** The object, and where the next pickle of a stream begins. */
export function readPickle(
  bytes: Uint8Array,
  path: string,
  table: PickleTable,
  start = 0,
): { readonly value: Value; readonly end: number } {
  const machine = new Machine(new PickleInput(bytes, path, start), path, table);
  for (;;) {
    const at = machine.input.position;
    const opcode = machine.input.u8();
    if (opcode === STOP) return { value: machine.pop(), end: machine.input.position };
    const run = OPCODES.get(opcode);
    if (run === undefined) throw damaged(path, `its pickle has no opcode ${opcode} (at byte ${at})`);
    run(machine);
  }
}

/** Protocol 0 writes texts in Python's raw-unicode-escape. */
function unescaped(line: string): string {
  return line.replaceAll(
    /\\u([\da-fA-F]{4})|\\U(000[\da-fA-F]{5}|0010[\da-fA-F]{4})/g,
    (_, short: string | undefined, long: string | undefined) => String.fromCodePoint(parseInt(short ?? long ?? '', 16)),
  );
}

const STOP = 0x2e;

/** By opcode, with the names that pickletools gives them. */
const OPCODES: ReadonlyMap<number, (machine: Machine) => void> = new Map<number, (machine: Machine) => void>([
  [0x28, (m) => m.mark()], // MARK
  [0x30, (m) => m.popAny()], // POP
  [0x31, (m) => void m.popMarked()], // POP_MARK
  [0x32, (m) => m.push(m.peek())], // DUP
  [0x46, (m) => m.push(m.float())], // FLOAT
  [0x49, (m) => m.push(m.boolOrInt(m.input.line()))], // INT
  [0x4a, (m) => m.push(m.input.i32())], // BININT
  [0x4b, (m) => m.push(m.input.u8())], // BININT1
  [0x4c, (m) => m.push(m.input.decimal(m.input.line().replace(/L?\s*$/, '')))], // LONG
  [0x4d, (m) => m.push(m.input.u16())], // BININT2
  [0x4e, (m) => m.push(null)], // NONE
  [0x50, (m) => m.persistent(m.input.line())], // PERSID
  [0x51, (m) => m.persistent(m.pop())], // BINPERSID
  [0x52, (m) => m.callTuple()], // REDUCE
  [0x53, (m) => m.pushText(m.quoted())], // STRING
  [0x54, (m) => m.pushText(m.input.utf8(m.input.i32()))], // BINSTRING
  [0x55, (m) => m.pushText(m.input.utf8(m.input.u8()))], // SHORT_BINSTRING
  [0x56, (m) => m.pushText(unescaped(m.input.line()))], // UNICODE
  [0x58, (m) => m.pushText(m.input.utf8(m.input.u32()))], // BINUNICODE
  [0x5d, (m) => m.push(new List(), COST.sequence)], // EMPTY_LIST
  [0x61, (m) => appendOne(m)], // APPEND
  [0x62, (m) => m.build()], // BUILD
  [0x63, (m) => m.push(m.global(m.input.line(), m.input.line()))], // GLOBAL
  [0x64, (m) => dictOfMarked(m)], // DICT
  [0x65, (m) => m.append(m.popMarked())], // APPENDS
  [0x67, (m) => m.get(m.input.decimal(m.input.line()))], // GET
  [0x68, (m) => m.get(m.input.u8())], // BINGET
  [0x69, (m) => m.call(m.global(m.input.line(), m.input.line()), m.popMarked())], // INST
  [0x6a, (m) => m.get(m.input.u32())], // LONG_BINGET
  [0x6c, (m) => listOfMarked(m)], // LIST
  [0x6f, (m) => m.callMarked()], // OBJ
  [0x70, (m) => m.put(m.input.decimal(m.input.line()))], // PUT
  [0x71, (m) => m.put(m.input.u8())], // BINPUT
  [0x72, (m) => m.put(m.input.u32())], // LONG_BINPUT
  [0x73, (m) => setOne(m)], // SETITEM
  [0x74, (m) => m.push(new Tuple(m.popMarked()), COST.sequence)], // TUPLE
  [0x75, (m) => m.setItems(m.popMarked())], // SETITEMS
  [0x29, (m) => m.pushTuple(0)], // EMPTY_TUPLE
  [0x7d, (m) => m.push(new Dict(), COST.dict)], // EMPTY_DICT
  [0x42, (m) => m.push(m.input.take(m.input.u32()), COST.sequence)], // BINBYTES
  [0x43, (m) => m.push(m.input.take(m.input.u8()), COST.sequence)], // SHORT_BINBYTES
  [0x47, (m) => m.push(m.input.f64())], // BINFLOAT
  [0x80, (m) => m.protocol()], // PROTO
  [0x81, (m) => m.callTuple()], // NEWOBJ
  [0x82, (m) => m.extension(m.input.u8())], // EXT1
  [0x83, (m) => m.extension(m.input.u16())], // EXT2
  [0x84, (m) => m.extension(m.input.i32())], // EXT4
  [0x85, (m) => m.pushTuple(1)], // TUPLE1
  [0x86, (m) => m.pushTuple(2)], // TUPLE2
  [0x87, (m) => m.pushTuple(3)], // TUPLE3
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x8a, (m) => m.push(m.input.integer(m.input.u8()))], // LONG1
  [0x8b, (m) => m.push(m.input.integer(m.input.i32()))], // LONG4
  [0x8c, (m) => m.pushText(m.input.utf8(m.input.u8()))], // SHORT_BINUNICODE
  [0x8d, (m) => m.pushText(m.input.utf8(m.input.u64()))], // BINUNICODE8
  [0x8e, (m) => m.push(m.input.take(m.input.u64()), COST.sequence)], // BINBYTES8
  [0x8f, (m) => m.push(new List(), COST.sequence)], // EMPTY_SET
  [0x90, (m) => m.append(m.popMarked())], // ADDITEMS
  [0x91, (m) => listOfMarked(m)], // FROZENSET
  [0x92, (m) => m.callNamed()], // NEWOBJ_EX
  [0x93, (m) => stackGlobal(m)], // STACK_GLOBAL
  [0x94, (m) => m.put()], // MEMOIZE
  [0x95, (m) => void m.input.u64()], // FRAME: how far to read ahead; all is here
  [0x96, (m) => m.push(m.input.take(m.input.u64()), COST.sequence)], // BYTEARRAY8
  [0x97, (m) => m.outOfBand()], // NEXT_BUFFER
  [0x98, (m) => m.outOfBand()], // READONLY_BUFFER
]);

function appendOne(machine: Machine): void {
  const item = machine.pop();
  machine.append([item]);
}

function setOne(machine: Machine): void {
  const value = machine.pop();
  machine.setItems([machine.pop(), value]);
}

function listOfMarked(machine: Machine): void {
  const items = machine.popMarked();
  machine.push(new List(), COST.sequence);
  machine.append(items);
}

function dictOfMarked(machine: Machine): void {
  const items = machine.popMarked();
  machine.push(new Dict(), COST.dict);
  machine.setItems(items);
}

function stackGlobal(machine: Machine): void {
  const name = machine.pop();
  machine.push(machine.global(machine.pop(), name));
}
