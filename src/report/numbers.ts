/**
 * Numbers as people read them: 25.56 M, 102.5 MB, 26 560, 36.1 ms, -56.1 %, 3.1e-7. One place, so
 * that all outputs agree.
 */

/** Digits in groups of three: 26 560. */
export function formatInteger(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** Parameters and MACs: whole below a million, then with a unit. */
export function formatCount(value: number): string {
  for (const [unit, size] of [
    ['T', 1e12],
    ['G', 1e9],
    ['M', 1e6],
  ] as const) {
    // 999 999 999 must not become 1000.00 M: compare what would be printed.
    if (value >= size * 0.999995) return `${(value / size).toFixed(2)} ${unit}`;
  }
  return formatInteger(value);
}

/** Decimal units, as file managers and `ls --si` show them. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    if (bytes >= size * 0.99995) return `${(bytes / size).toFixed(1)} ${unit}`;
  }
  return `${formatInteger(bytes)} B`;
}

/** Three significant digits: 0.123 ms, 1.23 ms, 36.1 ms, 1 204 ms. */
export function formatMs(ms: number): string {
  if (!Number.isFinite(ms)) return '?';
  if (ms >= 99.95) return `${formatInteger(ms)} ms`;
  return `${ms.toFixed(ms >= 9.995 ? 1 : ms >= 0.9995 ? 2 : 3)} ms`;
}

/** Three significant digits: 0.271, 27.7, 1 204. */
export function formatRate(perSecond: number): string {
  if (!Number.isFinite(perSecond)) return '?';
  if (perSecond >= 99.95) return formatInteger(perSecond);
  return perSecond.toFixed(perSecond >= 9.995 ? 1 : perSecond >= 0.9995 ? 2 : 3);
}

/** The signed relative change from `before` to `after`. */
export function formatChange(before: number, after: number): string {
  if (before === 0) return after === 0 ? '0.0 %' : '';
  const text = ((after / before - 1) * 100).toFixed(1);
  if (text === '0.0' || text === '-0.0') return '0.0 %';
  return `${after > before ? '+' : ''}${text} %`;
}

/** The signed difference of two counts: -9 216. */
export function formatDelta(before: number, after: number): string {
  return `${after > before ? '+' : ''}${formatInteger(after - before)}`;
}

export function formatShare(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** A relative difference: two significant digits. */
export function formatDifference(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'not a number' : 'infinite';
  if (value === 0) return '0';
  return value >= 0.001 && value < 1000 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}

/** 2.09x [2.05, 2.12] */
export function formatSpeedup(speedup: number, interval: readonly [number, number]): string {
  return `${speedup.toFixed(2)}x [${interval[0].toFixed(2)}, ${interval[1].toFixed(2)}]`;
}

/** 1x3x224x224; several inputs by name. */
export function formatShapes(shapes: Readonly<Record<string, readonly number[]>>): string {
  const entries = Object.entries(shapes);
  if (entries.length === 1) return formatShape(entries[0]?.[1] ?? []);
  return entries.map(([name, shape]) => `${name} ${formatShape(shape)}`).join(', ');
}

export function formatShape(shape: readonly number[]): string {
  return shape.length === 0 ? 'scalar' : shape.join('x');
}

/** `64`, `64 → 32`, `64 → gone` */
export function formatKept(before: number, kept: number | undefined): string {
  if (kept === before) return formatInteger(before);
  return `${formatInteger(before)} → ${kept === undefined ? 'gone' : formatInteger(kept)}`;
}

/** `1 thread`, `4 threads`, `no layers`. */
export function formatPlural(count: number, one: string, many = `${one}s`): string {
  return `${count === 0 ? 'no' : formatInteger(count)} ${count === 1 ? one : many}`;
}
