// The running system that a command is about, and how its long operations are shown.

import { type ControlClient, connectTo, type DoneLine, type ProgressLine } from '../system/index.ts'
import type { CommandInput } from './command.ts'

export function clientOf(input: CommandInput): ControlClient {
  return connectTo({ file: input.file, stateDirectory: input.stateDirectory })
}

/** Runs an operation with a line for each step; with --json every line as it came. */
export async function showOperation(
  input: CommandInput,
  run: (onProgress: (line: ProgressLine) => void) => Promise<DoneLine>,
): Promise<DoneLine> {
  const { terminal, json } = input
  const done = await run(line => {
    if (json) terminal.print(JSON.stringify(line))
    else if (terminal.interactive) terminal.live(`${line.subject}: ${line.text}`)
    else terminal.print(`${line.subject}: ${line.text}`)
  })
  terminal.live(null)
  if (json) terminal.print(JSON.stringify(done))
  return done
}

/** Aborts on the first Ctrl-C or TERM, for commands that follow something. */
export function untilInterrupted(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())
  // A reader that went away (`tenfold logs -f | head`) is the same wish.
  process.stdout.on('error', () => stop.abort())
  return stop.signal
}
