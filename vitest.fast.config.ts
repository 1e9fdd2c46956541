/**
 * `npm run test:fast`: the core in under a minute. Units, house rules, and some random graphs
 * instead of many.
 */
import { defineConfig } from 'vitest/config';
import full from './vitest.config.js';

export default defineConfig({
  test: {
    ...full.test,
    include: [
      'test/{analysis,house,ir,onnx,ops,report}/**/*.test.ts',
      'test/bench/describe.test.ts',
      'test/cli/{commands,usage}.test.ts',
      'test/differential/{equal,regressions}.test.ts',
      'test/fixtures/graph-builder.test.ts',
      'test/mask-maker/{choice,granularity,select}.test.ts',
      'test/masks/{binding,json,layouts,npy,onnx,safetensors,zip}.test.ts',
      'test/passes/*.test.ts',
      'test/*.test.ts',
      'test/runtime/inputs.test.ts',
      'test/verify/{bound,compare}.test.ts',
    ],
    exclude: [
      'test/**/real-models.test.ts',
      'test/analysis/inferred-shapes.test.ts',
      'test/onnx/damage.test.ts',
      // Many networks, or the native library.
      'test/passes/{ceiled-pools,convert-sparse*,select,sparse-*}.test.ts',
      'test/{bad-input,validity}.test.ts',
    ],
    // Loading ONNX Runtime for every file anew would take longer than the tests.
    isolate: false,
    env: { ...full.test?.env, DIFFERENTIAL_RUNS: '25' },
  },
});
