/**
 * A thread of the working process: where the guard was killed, nobody waits for the work any more,
 * and the main thread may be too busy to notice.
 */
import { Socket } from 'node:net';
import { GUARD_FD } from './guard.js';

const guard = new Socket({ fd: GUARD_FD, readable: true, writable: false });
guard.on('error', () => guard.destroy());
guard.on('close', () => process.kill(process.pid, 'SIGKILL'));
guard.resume();
