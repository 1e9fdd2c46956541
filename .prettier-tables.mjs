/**
 * Prettier's Markdown, except that tables stay as they are: padded to the width of their longest
 * cell they are unreadable, and a change of one cell would change every line.
 */
import * as markdown from 'prettier/plugins/markdown';

// The printers of this plugin have no types.
const { languages, parsers, printers } = /** @type {import('prettier').Plugin} */ (/** @type {unknown} */ (markdown));
const printer = /** @type {import('prettier').Printer<any>} */ (printers?.['mdast']);

/** @type {import('prettier').Printer<any>['print']} */
const print = (path, options, printChild, args) => {
  const node = /** @type {{ type: string, position?: Record<'start' | 'end', { offset: number }> }} */ (path.node);
  if (node.type !== 'table' || node.position === undefined) return printer.print(path, options, printChild, args);
  return options.originalText.slice(node.position.start.offset, node.position.end.offset);
};

export { languages, parsers };
const withTables = { ...printers, mdast: { ...printer, print } };
export { withTables as printers };
