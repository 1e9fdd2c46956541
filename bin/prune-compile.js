#!/usr/bin/env node
import { supervise } from '../dist/src/cli/supervise.js';

process.exitCode = await supervise(process.argv.slice(2));
