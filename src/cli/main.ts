/**
 * The command: reads what is asked, runs it, says what went wrong, returns the exit code. The API
 * does all the work.
 */
import { EXIT } from '../errors.js';
import { colorsFor } from './colors.js';
import { completionsOf } from './completion.js';
import type { Context } from './context.js';
import { type Engine, ENGINE } from './engine.js';
import { commandOf, failureOf, renderFailure, renderFailureJson } from './failure.js';
import { helpText } from './help.js';
import { BrokenPipe, Interruption, type Io, processIo, writeDiagnostic, writeTo } from './io.js';
import { type CommandName, COMPLETING } from './command-table.js';
import { type Invocation, parseInvocation } from './parse.js';
import { Steps } from './steps.js';
import { limitRuns } from '../runtime/run-limit.js';
import { TOOL } from '../version.js';

/**
 * After Ctrl-C the work may come to its own end for so long; whatever does not even listen is ended
 * from outside (supervise.ts).
 */
const GRACE_MS = 300;

const HANDLERS: Readonly<Record<CommandName, () => Promise<(context: Context) => Promise<void>>>> = {
  compile: async () => (await import('./commands/compile.js')).compileCommand,
  inspect: async () => (await import('./commands/inspect.js')).inspectCommand,
  why: async () => (await import('./commands/why.js')).whyCommand,
  mask: async () => (await import('./commands/mask.js')).maskCommand,
  verify: async () => (await import('./commands/verify.js')).verifyCommand,
  bench: async () => (await import('./commands/bench.js')).benchCommand,
  explore: async () => (await import('./commands/explore.js')).exploreCommand,
  doctor: async () => (await import('./commands/doctor.js')).doctorCommand,
  completion: async () => (await import('./commands/completion.js')).completionCommand,
};

export async function main(argv: readonly string[], io: Io = processIo(), engine: Engine = ENGINE): Promise<number> {
  if (argv[0] === COMPLETING) {
    await writeTo(
      io.stdout,
      completionsOf(argv.slice(2))
        .map((word) => `${word}\n`)
        .join(''),
    );
    return EXIT.done;
  }
  const cleanUps: (() => void)[] = [];
  let json = argv.includes('--json');
  let verbose = false;
  try {
    const invocation = parseInvocation(argv, io.env);
    json = invocation.options.json ?? json;
    verbose = invocation.options.verbose === true;
    if (invocation.asks !== undefined) await answer(invocation, io);
    else
      await untilInterrupted(
        run(invocation, { command: commandOf(argv), io, engine, onFinish: (cleanUp) => cleanUps.push(cleanUp) }),
        io.signal,
      );
    return EXIT.done;
  } catch (error) {
    if (io.signal.reason instanceof Interruption) return io.signal.reason.exitCode;
    if (error instanceof BrokenPipe) return EXIT.done;
    const failure = failureOf(error, argv, verbose);
    const colors = colorsFor(io.stderr, io.env);
    await writeDiagnostic(io.stderr, json ? renderFailureJson(failure) : renderFailure(failure, colors));
    return failure.exitCode;
  } finally {
    for (const cleanUp of cleanUps) cleanUp();
  }
}

async function answer({ asks, command, named }: Invocation, io: Io): Promise<void> {
  await writeTo(io.stdout, asks === 'version' ? `${TOOL.version}\n` : helpText(named ? command : undefined));
}

async function run(
  { command: name, positionals, options, foundConfig, sources }: Invocation,
  given: Pick<Context, 'command' | 'io' | 'engine' | 'onFinish'>,
): Promise<void> {
  const { io } = given;
  if (options.runLimit !== undefined) limitRuns(options.runLimit);
  const shown = options.quiet !== true && options.json !== true;
  const steps = new Steps({ output: io.stderr, colors: colorsFor(io.stderr, io.env), shown });
  if (foundConfig !== undefined) steps.tell('config', `${foundConfig} was found and is used (--no-config ignores it)`);
  if (options.verbose === true) {
    steps.tell('version', `${TOOL.version}, Node ${process.version}, ${process.platform} ${process.arch}`);
    for (const source of sources) steps.tell('option', source);
  }
  const handler = await HANDLERS[name]();
  await handler({ ...given, steps, positionals, options });
}

/** The work's own end, or GRACE_MS after Ctrl-C at the latest. */
async function untilInterrupted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const finished = new AbortController();
  const overdue = new Promise<never>((_, reject) => {
    const giveUpLater = () => {
      const timer = setTimeout(() => reject(signal.reason), GRACE_MS);
      finished.signal.addEventListener('abort', () => clearTimeout(timer));
    };
    if (signal.aborted) giveUpLater();
    else signal.addEventListener('abort', giveUpLater, { once: true, signal: finished.signal });
  });
  try {
    await Promise.race([work, overdue]);
  } finally {
    finished.abort();
  }
}
