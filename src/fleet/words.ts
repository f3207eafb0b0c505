// How the fleet says things: exits, durations, and quotes of what an instance wrote.

import type { LifeExit } from '../io/process.ts'

const quotedLines = 5
const quotedLineLength = 200

/** `exited with code 1`, `was ended by SIGKILL`. */
export function exitText(exit: LifeExit): string {
  if (exit.signal !== null) return `was ended by ${exit.signal}`
  if (exit.code !== null) return `exited with code ${exit.code}`
  return 'ended (how is not known: it was started by a former supervisor)'
}

/** `40 ms`, `1.5 s`, `12 s`, `3 min`. */
export function timeText(us: number): string {
  const ms = us / 1000
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${Math.round(ms / 100) / 10} s`
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`
  return `${Math.round(ms / 60_000)} min`
}

export function bytesText(bytes: number): string {
  return bytes < 1 << 30 ? `${Math.round(bytes / (1 << 20))} MB` : `${(bytes / (1 << 30)).toFixed(1)} GB`
}

/** What is safe to show on a terminal of the last lines that a process wrote. */
export function quotable(lines: readonly string[]): string[] {
  return lines
    .slice(-quotedLines)
    .map(line =>
      line.replace(/\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g, '').slice(0, quotedLineLength),
    )
}

/** ` Last output:` and the lines, or that there was none. */
export function outputText(lines: readonly string[]): string {
  if (lines.length === 0) return ' It wrote nothing.'
  return ` Last output:\n${lines.map(line => `    ${line}`).join('\n')}`
}
