// A program that takes over the terminal until it ends: its input, output and Ctrl-C are the person's. It decides nothing.

import { spawn } from 'node:child_process'

export interface TerminalProgram {
  readonly command: string
  readonly args: readonly string[]
  /** Added to our own environment. */
  readonly env: Readonly<Record<string, string>>
}

/** Its exit code (128 and the signal's number where a signal ended it); null: there is no such program. */
export function runInTerminal({ command, args, env }: TerminalProgram): Promise<number | null> {
  return new Promise((resolve, reject) => {
    // Ctrl-C reaches the whole foreground group: it is the program's to answer, and must not end us before it.
    const ignore = (): void => {}
    process.on('SIGINT', ignore)
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } })
    const end = (settle: () => void): void => {
      process.off('SIGINT', ignore)
      settle()
    }
    child.once('error', cause =>
      end(() => ((cause as NodeJS.ErrnoException).code === 'ENOENT' ? resolve(null) : reject(cause))),
    )
    child.once('exit', (code, signal) => end(() => resolve(code ?? (signal === 'SIGINT' ? 130 : 143))))
  })
}
