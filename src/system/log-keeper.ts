// Keeps the log files of the supervisor and the data planes bounded. Instances' files are the fleet's, PostgreSQL's their
// agents'. It looks every few seconds;
// between two looks a file may grow past its limit.

import { renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { rotateIfLarge } from '../io/log-file.ts'

const lookEveryMs = 5_000
/** Of the supervisor's log and the data planes' own output. */
const ownLimits = { bytesMax: 16 * 1024 * 1024, filesMax: 3 }
const accessLimits = { bytesMax: 128 * 1024 * 1024, filesMax: 4 }

export interface LogKeeperOptions {
  readonly logs: string
  /** Absolute paths of the logs of requests; asked at each look. */
  requestLogs(): readonly string[]
  /** One of them was renamed: its writer must open it again. */
  reopen(): Promise<void>
  onTrouble(cause: unknown): void
}

/** The returned function ends it. */
export function keepLogsBounded(options: LogKeeperOptions): () => void {
  let looking = false
  const look = async (): Promise<void> => {
    if (looking) return
    looking = true
    try {
      for (const name of ['tenfold.log', 'edge.log', 'router.log'])
        await rotateIfLarge(join(options.logs, name), ownLimits)
      const renamed = options
        .requestLogs()
        .filter(file => renamedIfLarge(file, accessLimits.bytesMax, accessLimits.filesMax))
      if (renamed.length > 0) await options.reopen()
    } catch (cause) {
      options.onTrouble(cause)
    } finally {
      looking = false
    }
  }
  const timer = setInterval(() => void look(), lookEveryMs)
  timer.unref()
  return () => clearInterval(timer)
}

/** Copying would cost too much here: an access log grows by megabytes a second. */
export function renamedIfLarge(file: string, bytesMax: number, filesMax: number): boolean {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size <= bytesMax) return false
  for (let number = filesMax - 1; number > 0; number -= 1) {
    const from = number === 1 ? file : `${file}.${number - 1}`
    if (statSync(from, { throwIfNoEntry: false })) renameSync(from, `${file}.${number}`)
  }
  return true
}
