/**
 * Networks of the families that real ones come in: half of the filters of every layer masked, in
 * both meanings. Equal at each size, and every masked filter that no output needs is gone.
 */
import { describe, expect, test } from 'vitest';
import { FAMILIES, familyModel } from '../../fixtures/networks/families/index.js';
import { compileModel } from '../../src/compile.js';
import { verifyModels } from '../../src/verify/verify.js';
import { MEANINGS } from './row-network.js';

describe.each(FAMILIES)('$name', (family) => {
  test.each(MEANINGS)('meaning %s: equal, and what could go is gone', async (meaning) => {
    const { bytes, removable } = familyModel(family, meaning);
    const stays = meaning === 'zero' ? (family.constantsThatStay ?? 0) : 0;
    const compiled = await compileModel(bytes, { align: 1 });
    const { before, after } = compiled.report;
    expect(before.channels - after.channels).toBe(removable - stays);
    for (const shapes of family.shapes)
      expect(await verifyModels(bytes, compiled.encode(), { shapes })).toMatchObject({ equal: true });
    expect((await compileModel(compiled.encode(), { align: 1 })).report.changed).toBe(false);
  });

  test.each(MEANINGS)('meaning %s: equal with widths for speed', async (meaning) => {
    const { bytes } = familyModel(family, meaning);
    const compiled = await compileModel(bytes);
    expect(compiled.report.changed).toBe(true);
    for (const shapes of family.shapes)
      expect(await verifyModels(bytes, compiled.encode(), { shapes })).toMatchObject({ equal: true });
  });
});
