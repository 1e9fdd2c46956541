/** Pickles by hand: what they hold, and what the hostile ones try. Nothing is ever called. */
import { describe, expect, test } from 'vitest';
import { latin1, torchArchive } from '../../fixtures/mask-files/torch-file.js';
import { PruneCompileError } from '../../src/errors.js';
import type { Entry } from '../../src/masks/contents.js';
import { readTorchZip } from '../../src/masks/formats/torch-zip.js';
import { failureOf } from '../onnx/failure.js';

const read = (pickle: string | Uint8Array): Entry =>
  readTorchZip(torchArchive(typeof pickle === 'string' ? latin1(pickle) : pickle, {}), 'a.pth');

const refusal = (pickle: string | Uint8Array): string => {
  const { code, what, facts } = failureOf(() => read(pickle));
  return [code, what, ...facts].join('\n');
};

describe('values', () => {
  test.each<[string, string, Entry]>([
    ['none and booleans', '(N\x88\x89I01\nI00\nl.', [null, true, false, true, false]],
    [
      'integers',
      '(K\xffM\xff\xffJ\xff\xff\xff\xffI-12\nL34L\n\x8a\x02\xff\xff\x8a\x00l.',
      [255, 65535, -1, -12, 34, -1, 0],
    ],
    ['a large integer', '\x8a\x09\0\0\0\0\0\0\0\0\x40.', 2n ** 70n],
    ['a large negative one', '\x8b\x09\0\0\0\0\0\0\0\0\0\0\0\xc0.', -(2n ** 70n)],
    ['floats', '(G?\xe0\0\0\0\0\0\0F1.5e3\nF-inf\nFnan\nl.', [0.5, 1500, -Infinity, NaN]],
    ['texts', "(X\x02\0\0\0\xc3\xa9\x8c\x01aU\x01bS'c'\nV\\u00e9\\U0001f600\nl.", ['é', 'a', 'b', 'c', 'é😀']],
    ['bytes', '(C\x02\x00\xffB\x01\0\0\0al.', [Buffer.of(0, 255), Buffer.of(97)]],
    ['tuples', '(K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87)(K\x04tl.', [[1], [1, 2], [1, 2, 3], [], [4]]],
    ['sets', '\x8f(K\x01K\x02\x90.', [1, 2]],
    ['frozen sets', '(K\x01\x91.', [1]],
    ['a list in the old way', '(lp0\nI1\na.', [1]],
    [
      'a dictionary',
      '}(X\x01\0\0\0aK\x01X\x01\0\0\0bK\x02u.',
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    ],
    [
      'keys of other types',
      '}(K\x07K\x01NK\x02\x88K\x03K\x01\x8c\x01x\x86K\x04u.',
      new Map([
        ['7', 1],
        ['None', 2],
        ['True', 3],
        ['(1, x)', 4],
      ]),
    ],
    [
      'keys of Object',
      '}(X\x09\0\0\0__proto__K\x01X\x0b\0\0\0constructorK\x02u.',
      new Map([
        ['__proto__', 1],
        ['constructor', 2],
      ]),
    ],
    ['the memo', ']\x94(h\x00\x30K\x05\x94h\x01q\x07h\x07r\x00\x00\x00\x80j\x00\x00\x00\x80e.', [5, 5, 5, 5]],
    ['POP and DUP', '(K\x01K\x020K\x032l.', [1, 3, 3]],
    ['POP of a mark', '(K\x01(0l.', [1]],
    ['an ordered dictionary', 'ccollections\nOrderedDict\n(](\x8c\x01aK\x01\x86etR}b.', new Map([['a', 1]])],
    ['a counter', 'ccollections\nCounter\n(}\x8c\x01aK\x02stR.', new Map([['a', 2]])],
    ['a defaultdict', 'ccollections\ndefaultdict\nc__builtin__\ndict\n\x85R\x8c\x01aK\x01s.', new Map([['a', 1]])],
    [
      'a NumPy number',
      'cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(\x8c\x02f8\x89\x88tR(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbc_codecs\nencode\n(X\x09\0\0\0\0\0\0\0\0\0\xc3\xa0?\x8c\x06latin1tRtR.',
      0.5,
    ],
    ['a device and a dtype', 'ctorch\ndevice\n(\x8c\x04cudaK\x01tR0ctorch\nfloat32\n.', 'torch.float32'],
  ])('%s', (_, pickle, expected) => {
    expect(read(pickle)).toEqual(expected);
  });
});

describe('calls', () => {
  test.each([
    ['REDUCE', "cposix\nsystem\n(S'true'\ntR.", 'posix.system'],
    ['STACK_GLOBAL', '\x8c\x08builtins\x8c\x04eval\x93(\x8c\x011tR.', 'builtins.eval'],
    ['INST', "(S'true'\nios\nsystem\n.", 'os.system'],
    ['OBJ', "(csubprocess\nPopen\nS'true'\no.", 'subprocess.Popen'],
    ['NEWOBJ', 'cbuiltins\nobject\n)\x81.', 'builtins.object'],
    ['NEWOBJ_EX', 'cbuiltins\nobject\n)}\x92.', 'builtins.object'],
    ['a global alone', 'ctorch.nn.modules.conv\nConv2d\n.', 'torch.nn.modules.conv.Conv2d'],
    ['EXT1', '\x82\x01.', 'extension 1'],
    ['a module inside a module', 'ctorch\nload\n(tR.', 'torch.load'],
    ['Object’s own names', 'c__proto__\nconstructor\n.', '__proto__.constructor'],
    ['getattr', '\x8c\x08builtins\x8c\x07getattr\x93.', 'builtins.getattr'],
    ['pickled storages', 'ctorch.storage\n_load_from_bytes\n.', 'torch.storage._load_from_bytes'],
  ])('%s is refused by name', (_, pickle, name) => {
    const told = refusal(pickle);
    expect(told).toMatch(/^E-MASK-UNSAFE/);
    expect(told).toContain(name);
    expect(told).toContain('state_dict');
  });
});

describe('bombs', () => {
  const deep = (open: string, close: string, times: number) =>
    latin1(`${open.repeat(times)}${close.repeat(times - 1)}.`);

  test.each([
    ['lists in lists', deep(']', 'a', 1_000_000), 'LIMIT'],
    ['tuples in tuples', latin1(`)${'\x85'.repeat(1_000_000)}.`), 'LIMIT'],
    ['just too deep', deep(']', 'a', 80), 'LIMIT'],
    // Each list holds the one before ten times: 10^30 entries.
    ['sharing', latin1(`]q\x00${tenfold(30)}.`), 'LIMIT'],
    ['marks', latin1('('.repeat(10_000_000)), 'LIMIT'],
    ['nothing but None', latin1('N'.repeat(10_000_000)), 'LIMIT'],
    ['dictionaries', latin1('}'.repeat(2_000_000)), 'LIMIT'],
    [
      'copies of one list',
      latin1(`](${'N'.repeat(100_000)}eq\x00${'0ccollections\nOrderedDict\nh\x00\x85R'.repeat(20)}`),
      'DAMAGED',
    ],
    [
      'sizes of one list',
      latin1(`](${'N'.repeat(100_000)}eq\x00${'0c__builtin__\nset\nh\x00\x85R'.repeat(200)}.`),
      'LIMIT',
    ],
    ['a list in itself', ']q\x00h\x00a.', 'FORMAT'],
    ['a dictionary in itself', '}q\x00\x8c\x01ah\x00s.', 'FORMAT'],
    ['a long integer', latin1(`\x8b\x00\x00\x10\x00${'\x7f'.repeat(0x100000)}.`), 'LIMIT'],
    ['a long decimal', latin1(`L${'9'.repeat(100_000)}L\n.`), 'LIMIT'],
    ['an integer longer than the file', '\x8b\x00\x02\x00\x00.', 'DAMAGED'],
    [
      'copies of one text',
      latin1(
        `X\x40\x42\x0f\0${'a'.repeat(1_000_000)}q\x00${'c_codecs\nencode\nh\x00\x8c\x06latin1\x86R'.repeat(200)}.`,
      ),
      'LIMIT',
    ],
    [
      'keys of one text',
      latin1(`X\x40\x42\x0f\0${'a'.repeat(1_000_000)}q\x000}${'(h\x00h\x00h\x00K\x01tNs'.repeat(60)}.`),
      'DAMAGED',
    ],
    ['a float that is none', 'Fone\n.', 'DAMAGED'],
    ['a negative size of an integer', '\x8b\xff\xff\xff\xff.', 'DAMAGED'],
    ['a negative size of a text', 'T\xff\xff\xff\xff.', 'DAMAGED'],
    ['a text longer than the file', 'X\xff\xff\xff\xff.', 'DAMAGED'],
    ['bytes of 2^63', '\x8e\0\0\0\0\0\0\0\x80.', 'DAMAGED'],
    ['a negative place in the memo', 'Np-1\n.', 'DAMAGED'],
    ['a place that is empty', 'h\x05.', 'DAMAGED'],
    ['a key twice', '}(\x8c\x01aNh\x01\x8c\x01aNu.', 'DAMAGED'],
    ['a list as key', '}]Ns.', 'FORMAT'],
    ['an unknown opcode', '\xfe.', 'DAMAGED'],
    ['a newer protocol', '\x80\x09N.', 'FORMAT'],
    ['buffers elsewhere', '\x97.', 'FORMAT'],
    ['no end', 'N', 'DAMAGED'],
    ['nothing', '', 'DAMAGED'],
    ['a state for a list', ']}b.', 'DAMAGED'],
    ['a call of a text', '\x8c\x01a)R.', 'DAMAGED'],
    ['an id that is none', ')Q.', 'DAMAGED'],
  ])('%s', (_, pickle, code) => {
    expect(refusal(pickle)).toMatch(new RegExp(`^E-MASK-${code}\n`));
  });

  function tenfold(times: number): string {
    return Array.from({ length: times }, (_, level) => {
      const before = String.fromCharCode(level);
      return `](${`h${before}`.repeat(10)}eq${String.fromCharCode(level + 1)}`;
    }).join('');
  }

  test('a place of 2^31 in the memo takes no room', () => {
    expect(read('Nr\x00\x00\x00\x80.')).toBeNull();
  });

  test('every opcode on every kind of stack: never another error', () => {
    const stacks = [
      '',
      'N',
      '(',
      '(N',
      ']',
      '}',
      ')',
      '](',
      '}(N',
      'K\x01K\x02',
      '\x8c\x01a',
      'ctorch\nSize\n',
      'ctorch\nSize\n)',
    ];
    const operands = ['', '\0'.repeat(300), '1\n2\n', '\x01\x01\x01\x01\x01\x01\x01\x01', '\xff'.repeat(16)];
    const others: string[] = [];
    for (const stack of stacks)
      for (let opcode = 0; opcode < 256; opcode++)
        for (const operand of operands) {
          const pickle = `${stack}${String.fromCharCode(opcode)}${operand}.`;
          try {
            read(pickle);
          } catch (error) {
            const isOurs = error instanceof PruneCompileError && error.code.startsWith('E-MASK-');
            if (!isOurs) others.push(`${JSON.stringify(pickle)}: ${String(error)}`);
          }
        }
    expect(others).toEqual([]);
  });
});
