/** The style sheet of the HTML report. */
const LIGHT =
  '--ink: #1b1f24; --paper: #fff; --soft: #5a6470; --line: #d8dee4; --bar: #2f6fed; --before: #9aa7b5; --wide: #a9c5fa; --hold: #d98a00; --gone: #c5ceda; --track: #eef1f5; --good: #116329; --bad: #b3261e;';
const DARK =
  '--ink: #e4e8ee; --paper: #14171b; --soft: #9aa5b1; --line: #333a43; --bar: #5b8df6; --before: #6f7c8a; --wide: #35548f; --hold: #e5a53a; --gone: #4a5563; --track: #20262d; --good: #6fd68c; --bad: #ff8a80;';

export const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) {
  :root { ${DARK} }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main, footer { max-width: 78rem; margin: 0 auto; padding: 1.5rem clamp(.8rem, 3vw, 2rem); }
footer { color: var(--soft); padding-top: 0; }
h1 { font-size: clamp(1.4rem, 4vw, 2.2rem); line-height: 1.2; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; }
code, p, li { overflow-wrap: anywhere; white-space: normal; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .5rem; } }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 2rem; margin: 1.5rem 0; }
figure { margin: 0; max-width: 34rem; }
figure svg { display: block; width: 100%; height: auto; font-family: system-ui, sans-serif; }
figcaption, figure p { margin: 0 0 .5rem; }
figure p, figcaption { color: var(--soft); font-size: .9rem; }
figcaption strong { color: var(--ink); }
.key { margin-right: 1rem; white-space: nowrap; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 1.2rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; }
th.n, td.n { text-align: right; white-space: nowrap; }
td:has(wbr) { min-width: 14rem; overflow-wrap: anywhere; }
td:has(.words) { min-width: 18rem; }
.good { color: var(--good); }
.bad, .missed { color: var(--bad); }
@media print {
  :root { color-scheme: light; ${LIGHT} --soft: #444; }
  body { font-size: 11px; }
  main { max-width: none; padding: 0; }
  .figures { grid-template-columns: repeat(2, 1fr); gap: 1rem; }
  .scroll { overflow: visible; }
  td:has(wbr), td:has(.words) { min-width: 0; }
  svg, .key i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  tr, h2, dl { break-inside: avoid; }
  h2, figcaption { break-after: avoid; }
}
`;
