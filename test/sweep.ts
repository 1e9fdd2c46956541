import { readFileSync, readdirSync } from 'node:fs';
import { compileModel } from '../src/compile.js';
import { verifyModels } from '../src/verify/verify.js';
import { DATA, loadSkeleton, maskFilters } from './support/skeletons.js';
const pattern = new RegExp(process.argv[2] ?? 'resnet|vgg');
const doVerify = process.argv[3] !== 'noverify';
const key = JSON.parse(readFileSync(`${DATA}/skeletons/answer_key.json`, 'utf8')).keys;
for (const file of readdirSync(`${DATA}/skeletons/models`)) {
  const name = file.replace('.onnx', '');
  if (!pattern.test(name)) continue;
  const plain = await loadSkeleton(name);
  for (const which of ['all', 'inner'] as const) for (const meaning of ['drop', 'zero'] as const) {
    try {
      const m = await maskFilters(plain, which, meaning);
      const t = performance.now();
      const c = await compileModel(m.bytes, { align: 1 });
      const ms = performance.now() - t;
      const out = c.encode();
      const entry = meaning === 'drop' ? key.find((k: any) => k.file === `models/${file}` && k.masked === which) : undefined;
      const removed = c.report.layers.filter(l=>l.opType==='Conv').reduce((n, l) => n + l.outputChannels - (l.keptOutputChannels ?? 0), 0);
      let line = `${name} ${which} ${meaning}: removed ${removed} of masked ${[...m.masked.values()].reduce((n, l) => n + l.length, 0)}, ${ms.toFixed()} ms`;
      if (entry) line += ` key ${entry.totals.zero}/${entry.totals.const} ${removed >= entry.totals.const ? 'OK' : 'SHORT'}`;
      const again = await compileModel(out, { align: 1 });
      if (again.report.changed) line += ' SECOND-CHANGED ' + again.report.remarks.filter(r=>r.kind==='applied')[0]?.message;
      if (doVerify) { const v = await verifyModels(m.bytes, out, {}); line += ` ${v.equal ? 'equal' : 'DIFFERENT'} ${v.difference.toExponential(1)} bound ${v.bound.toExponential(1)}`; }
      if (c.report.remarks.some(r => r.kind==='missed' && !r.node)) line += ' ' + c.report.remarks.filter(r => r.kind==='missed' && !r.node).map(r=>r.message.split(' is not')[0]).join(',');
      console.log(line);
    } catch (e) { console.log(name, which, meaning, 'ERROR', (e as Error).stack?.split('\n').slice(0,4).join(' | '), JSON.stringify((e as any).facts)); }
  }
}
