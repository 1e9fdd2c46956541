/** Markup from templates: whatever is put into one is escaped, unless it is markup itself. */

/** Text from models and files must never become markup. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Markup that is safe to put into a page as it is. */
export class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

type Part = string | Html | readonly Html[];

/** A template whose holes are escaped unless they are Html themselves. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(texts.map((text, index) => text + markupOf(parts[index] ?? '')).join(''));
}

function markupOf(part: Part): string {
  if (typeof part === 'string') return escapeHtml(part);
  return part instanceof Html ? part.markup : part.map(({ markup }) => markup).join('');
}

export const NOTHING = html``;

/**
 * Names of nodes and weights are paths: they break after their separators, where a line is too
 * short, and are copied as they are.
 */
export function pathName(name: string): Html {
  const parts = name.split(/(?<=[^/._:][/._:]+)(?=[^/._:])/);
  return html`${parts.map((part, index) => (index === 0 ? html`${part}` : html`<wbr />${part}`))}`;
}

/** The head of a column: numbers stand at its right, everything else at its left. */
export type Head = string | { readonly number: string };

export function table(heads: readonly Head[], rows: readonly (readonly (string | Html)[])[]): Html {
  const open = (tag: 'td' | 'th', column: number) =>
    new Html(typeof heads[column] === 'object' ? `<${tag} class="n">` : `<${tag}>`);
  const line = (cells: readonly (string | Html)[], tag: 'td' | 'th') =>
    html`<tr>
      ${cells.map((cell, column) => html`${open(tag, column)}${cell}${new Html(`</${tag}>`)}`)}
    </tr> `;
  return html`<div class="scroll">
    <table>
      <thead>
        ${line(
          heads.map((head) => (typeof head === 'string' ? head : head.number)),
          'th',
        )}
      </thead>
      <tbody>
        ${rows.map((cells) => line(cells, 'td'))}
      </tbody>
    </table>
  </div>`;
}
