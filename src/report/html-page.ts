/** What the pages of all reports have in common. */
import type { Figure } from './charts/figures.js';
import { dateText, machineText } from './headline.js';
import { STYLE } from './html-style.js';
import { Html, html, NOTHING } from './html-template.js';
import type { CompileReport } from './types.js';

export interface Page {
  readonly heading: string;
  readonly isBad: boolean;
  /** What it is about, below the heading. */
  readonly title: string;
  readonly tool: CompileReport['tool'];
  readonly body: Html;
}

type Origin = Pick<CompileReport, 'machine' | 'date' | 'command' | 'tool'>;

export function page({ heading, isBad, title, tool, body }: Page): string {
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${new Html(policy)}" />
        <meta name="generator" content="prune-compile" />
        <title>${heading}: ${title}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>
          <h1 class="${isBad ? 'bad' : 'plain'}">${heading}</h1>
          <p class="wrap">${title}</p>
          ${body}
        </main>
        <footer>${tool.name} ${tool.version}</footer>
      </body>
    </html> `.markup;
}

/** On what machine, when, and how to repeat it. */
export function originSection({ machine, date, command, tool }: Origin): Html {
  const rows = [
    ...(machine === undefined
      ? []
      : [
          html`<dt>Measured on</dt>
            <dd>${machineText(machine)}</dd> `,
        ]),
    ...(date === undefined
      ? []
      : [
          html`<dt>When</dt>
            <dd>${dateText(date)}, ${tool.name} ${tool.version}</dd> `,
        ]),
    ...(command === undefined
      ? []
      : [
          html`<dt>To repeat it</dt>
            <dd><code class="wrap">${command}</code></dd> `,
        ]),
  ];
  return rows.length === 0 ? NOTHING : html`<dl>${rows}</dl>`;
}

export function figuresSection(figures: readonly Figure[]): Html {
  if (figures.length === 0) return NOTHING;
  const keys = ({ legend }: Figure) =>
    legend.map(({ color, text }) => html`<span class="key"><i style="background:var(--${color})"></i>${text}</span> `);
  return html`<div class="figures">
    ${figures.map(
      (figure) =>
        html`<figure>
          <figcaption><strong>${figure.title}.</strong> ${figure.caption}</figcaption>
          <p>${keys(figure)}</p>
          <svg viewBox="${figure.drawing.viewBox}" role="img" aria-label="${figure.title}">
            ${new Html(figure.drawing.markup)}
          </svg>
        </figure> `,
    )}
  </div>`;
}
