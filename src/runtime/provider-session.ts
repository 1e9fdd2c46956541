/** Sessions on a named provider that say which part of a model the CPU runs. */
import type * as ort from 'onnxruntime-node';
import { messageOf } from '../errors.js';
import { createSession, type SessionOptions } from './session.js';

export interface ProviderSession {
  readonly session: ort.InferenceSession;
  /** Whether some nodes run on the CPU though another provider was named. */
  readonly usesCpu: boolean;
  /** How long it took to make, without what was tried in vain. */
  readonly loadMs: number;
}

/** On a GPU the session is first asked to leave nothing to the CPU. */
export async function createOnProvider(
  model: string | Uint8Array,
  options: SessionOptions & { readonly provider: NonNullable<SessionOptions['provider']> },
): Promise<ProviderSession> {
  if (options.provider === 'cpu') return timed(model, options, false);
  try {
    return await timed(model, { ...options, config: { ...options.config, disable_cpu_ep_fallback: '1' } }, false);
  } catch (error) {
    const { cause } = error instanceof Error ? error : {};
    if (!/fallback to CPU EP/i.test(messageOf(cause))) throw error;
    return timed(model, options, true);
  }
}

async function timed(model: string | Uint8Array, options: SessionOptions, usesCpu: boolean): Promise<ProviderSession> {
  const start = performance.now();
  const session = await createSession(model, options);
  return { session, usesCpu, loadMs: performance.now() - start };
}

export function cpuNote(name: string, provider: string): string {
  return `${name}: ${provider} does not run all of its nodes, some run on the CPU`;
}
