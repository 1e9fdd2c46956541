/** The style sheet of the HTML report. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #5a6470; --line: #d8dee4; --bar: #2f6fed; --track: #e8ecf1; --mark: #12305f; --good: #116329; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --paper: #14171b; --soft: #9aa5b1; --line: #333a43; --bar: #5b8df6; --track: #262c34; --mark: #dbe6ff; --good: #6fd68c; --bad: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main, footer { max-width: 70rem; margin: 0 auto; padding: 1.5rem; }
footer { color: var(--soft); padding-top: 0; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
code, .wrap { overflow-wrap: anywhere; white-space: normal; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 40%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, td.text, td:has(.wrap, .words) { text-align: left; white-space: normal; overflow-wrap: break-word; }
td.text, td:has(.wrap) { overflow-wrap: anywhere; }
td:has(wbr) { min-width: 14rem; }
td:has(.words) { min-width: 18rem; }
.good { color: var(--good); }
.bad, .missed { color: var(--bad); }
.bar { position: relative; display: inline-block; width: 10rem; height: .7rem; background: var(--track); vertical-align: middle; }
.bar i { display: block; height: 100%; background: var(--bar); }
.bar b { position: absolute; top: .2rem; height: .3rem; min-width: 2px; background: var(--mark); }
@media print {
  :root { --ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --bar: #2f6fed; --track: #e8ecf1; --mark: #12305f; --good: #116329; --bad: #b3261e; }
  body { font-size: 11px; }
  main { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  td:has(wbr), td:has(.words) { min-width: 0; }
  .bar, .bar * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  tr, h2 { break-inside: avoid; }
  h2 { break-after: avoid; }
}
`;
