import { writeFileSync, existsSync } from 'node:fs';
import { resnet } from '../fixtures/resnet.js';
import { compileModel } from '../src/compile.js';
const path = '/tmp/r50.onnx';
if (!existsSync(path))
  writeFileSync(
    path,
    resnet('resnet50', {
      masks: 'zeros',
      meaning: 'zero',
      choice: { kind: 'inner', fraction: 0.5 },
      batchNorm: 'kept',
      size: 224,
      batch: 'batch',
    }).bytes(),
  );
for (let i = 0; i < 3; i++) {
  const t = performance.now();
  const c = await compileModel(path, { onStep: (s) => console.log(s.step, s.ms.toFixed(0)) });
  const t2 = performance.now();
  c.write('/tmp/r50.out.onnx');
  console.log(
    'write',
    (performance.now() - t2).toFixed(0),
    'total',
    (performance.now() - t).toFixed(0),
    c.report.edits,
    process.memoryUsage().rss / 1e6,
    process.resourceUsage().maxRSS / 1e3,
  );
}
