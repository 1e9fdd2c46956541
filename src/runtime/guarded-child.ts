/**
 * The process of a guarded session: makes one session and runs it as told, until nobody listens any
 * more or ONNX Runtime crashes.
 */
import process from 'node:process';
import type { InferenceSession } from 'onnxruntime-node';
import { messageOf } from '../errors.js';
import { type Answer, fromPlain, plainTensors, type Request } from './guarded-messages.js';
import { createSession } from './session.js';

let session: InferenceSession | undefined;

async function answer(request: Request): Promise<Answer> {
  try {
    if (request.kind === 'create') {
      session = await createSession(request.model, request.options);
      return { kind: 'created', inputs: [...session.inputMetadata], outputs: [...session.outputMetadata] };
    }
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
