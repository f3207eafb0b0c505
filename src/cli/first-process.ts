// Tenfold as process 1 of a container. Process 1 inherits every orphan and has to reap it; Node only reaps children that
// it started itself. So as process 1 we become a shell that reaps, and run as its child. It never runs elsewhere.

import { existsSync } from 'node:fs'

/**
 * `wait` in a POSIX shell reaps any child, adopted ones too. TERM, INT and HUP are passed on; the exit code is the
 * program's. A `wait` that a signal interrupts returns early, hence the loop.
 */
export const initScript = `
"$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM
trap 'kill -INT "$child" 2>/dev/null' INT
trap 'kill -HUP "$child" 2>/dev/null' HUP
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || exit "$code"
done
`

const shell = '/bin/sh'

/** Does not return where this is process 1 and the platform can replace a process. */
export function becomeChildOfInit(): void {
  if (process.pid !== 1 || typeof process.execve !== 'function' || !existsSync(shell)) return
  process.execve(
    shell,
    ['sh', '-c', initScript, 'tenfold', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    {
      ...process.env,
    },
  )
}
