import { ExitCode } from './exit-codes.ts';
import { runProgram } from './program.ts';

// A reader that has seen enough (`ekko backup … | head`) must not end the work, and is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

const code = await runProgram(process.argv.slice(2), {
  streams: { input: process.stdin, output: process.stdout, errors: process.stderr },
  environment: process.env,
});
process.exitCode = code;
// Work that was cut off may still wait for something, such as its share of a small bandwidth.
if (code === ExitCode.interrupted) process.exit();
