/**
 * Tables for terminals: columns without lines, widths that know about colours, text that wraps
 * inside its columns.
 */
import Table from 'cli-table3';

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((edge) => [edge, `${edge}-mid`, `${edge}-left`, `${edge}-right`])
    .concat('middle')
    .map((name) => [name, '']),
);

export type Align = 'left' | 'right';
export type Cell = string | { readonly content: string; readonly colSpan: number };

export interface Column {
  readonly align?: Align;
  /** Without it the column is as wide as its widest cell, and two spaces more. */
  readonly width?: number;
}

/** Lines of a table, without spaces at their ends. */
export function textTable(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string[] {
  if (rows.length === 0) return [];
  const fixed = columns.every(({ width }) => width !== undefined);
  const table = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': fixed ? 0 : 2, head: [], border: [], compact: true },
    colAligns: columns.map(({ align }) => align ?? 'left'),
    colWidths: columns.map(({ width }) => width ?? null),
    wordWrap: fixed,
  });
  for (const row of rows) table.push(row.map((cell) => (typeof cell === 'string' ? cell : { ...cell })));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
