/**
 * The process of a guarded session: makes one session and runs it as told, until nobody listens any
 * more or ONNX Runtime crashes.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { InferenceSession } from 'onnxruntime-node';
import { messageOf } from '../errors.js';
import { type Answer, fromPlain, plainTensors, type Request } from './guarded-messages.js';
import { createSession } from './session.js';

let session: InferenceSession | undefined;

/**
 * Of the process so far, in bytes. On Linux the count of resources begins with that of the process
 * which started this one; the kernel's own status does not. Both count kibibytes.
 */
function peakBytes(): number {
  try {
    const [, peak] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (peak !== undefined) return Number(peak) * 1024;
  } catch {
    // Another system.
  }
  return process.resourceUsage().maxRSS * 1024;
}

const before = peakBytes();

async function answer(request: Request): Promise<Answer> {
  try {
    if (request.kind === 'create') {
      session = await createSession(request.model, request.options);
      return { kind: 'created', inputs: [...session.inputMetadata], outputs: [...session.outputMetadata] };
    }
    if (request.kind === 'memory') return { kind: 'memory', peakBytes: peakBytes() - before };
    if (session === undefined) throw new Error('there is no session');
    return { kind: 'results', results: plainTensors(await session.run(fromPlain(request.feeds))) };
  } catch (error) {
    return { kind: 'failed', message: messageOf(error instanceof Error ? (error.cause ?? error) : error) };
  }
}

process.on('message', (request: Request) => {
  void answer(request).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit());
// Ctrl-C goes to both processes; the one that was started last has not to decide.
process.on('SIGINT', () => {});
