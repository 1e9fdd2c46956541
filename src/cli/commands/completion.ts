/** `prune-compile completion`: the script of yargs, for the shell that $SHELL names. */
import yargs from 'yargs';
import type { Context } from '../context.js';
import { writeTo } from '../io.js';

export async function completionCommand({ io }: Context): Promise<void> {
  let script = '';
  await yargs([])
    .scriptName('prune-compile')
    .completion('completion')
    .exitProcess(false)
    .parse(['completion'], {}, (_error, _argv, output) => {
      script = output;
    });
  await writeTo(io.stdout, `${script.trimEnd()}\n`);
}
