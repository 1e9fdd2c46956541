/** What is under way: a bar for people, now and then a line for a pipe. */
import { expect, test } from 'vitest';
import { colorsFor } from '../../src/cli/colors.js';
import { Steps } from '../../src/cli/steps.js';

function steps(isTTY: boolean) {
  const texts: string[] = [];
  const clock = { ms: 0 };
  const output = {
    isTTY,
    write: (chunk: string | Uint8Array, done: () => void) => {
      texts.push(String(chunk));
      done();
    },
  };
  const colors = colorsFor(output, { NO_COLOR: '1' });
  return { texts, clock, made: new Steps({ output, colors, shown: true, now: () => clock.ms }) };
}

test('a pipe hears of it where two seconds passed without a word', async () => {
  const { texts, clock, made } = steps(false);
  await made.run('verify', (progress) => {
    for (const done of [1, 2, 3, 4, 5, 6]) {
      clock.ms += 900;
      progress(done, 6, 'reference');
    }
    clock.ms += 100;
  });
  expect(texts).toEqual([
    'verify               …   reference 3/6, 3 s left\n',
    'verify               …   reference 6/6\n',
    'verify        5 500 ms\n',
  ]);
});

test('a terminal has a bar, which goes when the step is done', async () => {
  const { texts, clock, made } = steps(true);
  await made.run('bench', (progress) => {
    progress(1, 4);
    clock.ms += 3000;
    progress(2, 4);
  });
  expect(texts.map((text) => text.replace('\r\u001B[2K', '<'))).toEqual([
    '<bench       …',
    '<bench       █████░░░░░░░░░░░░░░░ 1/4',
    '<bench       ██████████░░░░░░░░░░ 2/4, 6 s left',
    '<bench         3 000 ms\n',
  ]);
});

test('what is left is told by the pace of the part that is under way', async () => {
  const { texts, clock, made } = steps(true);
  await made.run('verify', (progress) => {
    clock.ms += 9000;
    progress(1, 2, 'reference');
    clock.ms += 9000;
    progress(2, 2, 'reference');
    clock.ms += 9000;
    progress(1, 2, 'candidate');
    clock.ms += 75_000;
    progress(2, 3, 'candidate');
  });
  expect(texts.slice(1, -1).map((text) => text.slice(text.lastIndexOf('░') + 1))).toEqual([
    ' reference 1/2',
    texts[2],
    ' candidate 1/2',
    ' candidate 2/3, 75 s left',
  ]);
});
