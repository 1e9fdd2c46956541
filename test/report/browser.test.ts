/** The HTML report in a browser: nothing sticks out, nothing covers anything, no error. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withConclusions } from '../../src/exploration/conclusions.js';
import { renderExplorationHtml } from '../../src/report/exploration-html.js';
import { renderHtml } from '../../src/report/html.js';
import type { CompileReport } from '../../src/report/types.js';
import { exploration, point } from '../explore/sample.js';
import { folder } from '../samples/given-files.js';
import { needs } from '../support/needs.js';
import { BENCHMARK, MACHINE, REPORT, VERIFICATION } from './sample.js';

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env['CHROMIUM'] ?? PATHS.find((path) => existsSync(path)) ?? '';

const BROWSER = {
  present: executablePath !== '',
  missing: 'there is no Chromium',
  remedy: 'install it (Debian: apt-get install chromium), or set CHROMIUM to its path',
};

const LONG = '/backbone/stage_3/residual_block_with_a_very_long_name_12/branch/convolution_of_the_second_kind/Conv';

/** Long names, many layers, large numbers, every kind of remark. */
const LARGE: CompileReport = {
  ...REPORT,
  input: `${LONG.slice(1)}.onnx`,
  machine: MACHINE,
  date: '2026-11-30T12:34:56Z',
  command: `prune-compile ${LONG.slice(1)}.onnx --masks checkpoint.pth --bench --threads 2 --report report.html`,
  verification: VERIFICATION,
  benchmarks: [BENCHMARK, { ...BENCHMARK, threads: 16, notes: ['the machine was busy'] }],
  layers: Array.from({ length: 70 }, (_, at) => ({
    node: at % 3 === 0 ? `${LONG}_${at}` : `/layer${at}/Conv`,
    opType: 'Conv',
    inputChannels: 16_384,
    outputChannels: 16_384,
    keptInputChannels: 8192,
    keptOutputChannels: at === 5 ? undefined : 8192,
    sparsity: at / 70,
  })),
  remarks: (['alive', 'gate', 'speed', 'unknown', 'codes'] as const).map((cause, at) => ({
    pass: 'remove-channels',
    kind: at % 2 === 0 ? 'note' : 'missed',
    cause,
    operator: 'com.microsoft.SkipSimplifiedLayerNormalization',
    channels: 10 ** (at + 1),
    message: 'kept, because something that has a name of some length needs them',
    layers: [{ node: '/layer1/Conv', channels: 12 }],
  })),
};

/** Six ways, with accuracies, one of them without figures. */
function explored() {
  const ways = ['filter', 'channel', 'kernel', 'unstructured', '4x1', '2:4'];
  const points = ways.flatMap((way, at) =>
    [0.3, 0.5, 0.7, 0.9, 0.95].map((ratio) => ({
      ...point(way, ratio, 0.7 + ratio * (at + 1)),
      accuracy: 95 - 40 * ratio ** at,
    })),
  );
  const failed = { ...point('filter', 0.99, 1), problem: { code: 'E-USAGE', what: 'no unit is left' } } as const;
  const { timing: _timing, accuracy: _accuracy, ...without } = { ...failed, accuracy: 0 };
  const found = exploration([...points, without]);
  const { timing } = point('filter', 0.5, 1.9);
  return withConclusions({
    ...found,
    settings: { ...found.settings, evaluate: `python ${LONG}.py --data /a/folder {}` },
    dense: { parameters: 1, macs: 1, sizeBytes: 1, accuracy: 95.2 },
    ...(timing && { int8: { timing, sizeBytes: 1000, cpu: 'cpu' } }),
  });
}

describe('in Chromium', needs(BROWSER), () => {
  let browser: Browser;
  beforeAll(async () => {
    const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'];
    browser = await chromium.launch({ executablePath, args });
  });
  afterAll(() => browser.close());

  async function measured(
    markup: string,
    width: number,
    colorScheme: 'light' | 'dark',
    media: 'screen' | 'print',
  ): Promise<Measured> {
    const { path } = folder();
    const file = join(path, 'report.html');
    writeFileSync(file, markup);
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    const errors: string[] = [];
    page.on('console', (message) => errors.push(message.text()));
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on('request', (request) => {
      if (!request.url().startsWith('file:')) errors.push(`asks for ${request.url()}`);
    });
    await page.emulateMedia({ colorScheme, media });
    await page.goto(pathToFileURL(file).href);
    const found = await page.evaluate(MEASURE);
    await page.close();
    expect(errors).toEqual([]);
    return found;
  }

  test.each([400, 720, 1400])('an exploration, %d pixels', async (width) => {
    const view = { model: 'model.onnx', missing: 3, command: 'prune-compile explore model.onnx' };
    const found = await measured(
      await renderExplorationHtml(explored(), view),
      width,
      'light',
      width === 720 ? 'print' : 'screen',
    );
    expect(found).toMatchObject({ charts: 2, sideways: 0, outside: [], covered: [], unscrollable: [] });
  });

  test.each([
    [400, 'light', 'screen'],
    [400, 'dark', 'screen'],
    [1400, 'light', 'screen'],
    [1400, 'dark', 'screen'],
    // A sheet of A4 without its margins.
    [720, 'light', 'print'],
  ] as const)('%d pixels, %s, %s', async (width, colorScheme, media) => {
    const found = await measured(await renderHtml(LARGE), width, colorScheme, media);
    expect(found).toMatchObject({ sideways: 0, outside: [], covered: [], unscrollable: [] });
    expect(found.charts).toBeGreaterThan(4);
    // As readable as the page: its text has 15 pixels, 11 in print.
    expect(found.smallest).toBeGreaterThan(media === 'print' ? 6 : 9);
  });
});

interface Measured {
  readonly charts: number;
  /** How far the page reaches beyond the window. */
  readonly sideways: number;
  /** Texts of charts that stick out of them, or lie on each other. */
  readonly outside: readonly string[];
  readonly covered: readonly string[];
  /** What is cut off and cannot be scrolled to. */
  readonly unscrollable: readonly string[];
  /** Height of the letters of charts, in pixels. */
  readonly smallest: number;
}

/** Runs in the page, whose scripts its own policy forbids. */
const MEASURE = `(() => {
  const boxes = [...document.querySelectorAll('svg')].map((svg) => ({
    own: svg.getBoundingClientRect(),
    texts: [...svg.querySelectorAll('text')].map((text) => ({ box: text.getBoundingClientRect(), what: text.textContent })),
  }));
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2;
  const width = document.documentElement.clientWidth;
  return {
    charts: boxes.length,
    sideways: Math.max(0, document.documentElement.scrollWidth - width),
    outside: boxes.flatMap(({ own, texts }) =>
      texts.filter(({ box }) => box.left < own.left - 1 || box.right > own.right + 1 || box.bottom > own.bottom + 1).map(({ what }) => what)),
    covered: boxes.flatMap(({ texts }) =>
      texts.filter(({ box, what }, at) => what !== '' && texts.some((other, index) => index > at && other.what !== '' && meet(box, other.box))).map(({ what }) => what)),
    unscrollable: [...document.querySelectorAll('body *')]
      .filter((element) => element.closest('.scroll, svg') === null && element.getBoundingClientRect().right > width + 1)
      .map((element) => element.tagName + ' ' + element.textContent.slice(0, 40)),
    smallest: Math.min(...boxes.flatMap(({ texts }) => texts.filter(({ what }) => what !== '').map(({ box }) => box.height))),
  };
})()` as unknown as () => Measured;
