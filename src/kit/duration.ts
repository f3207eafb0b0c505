// Durations and sizes as people read them. For messages and tables only: machines get numbers.

/** `0.4 ms`, `12 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. @param ms milliseconds, not negative. */
export function durationText(ms: number): string {
  if (ms < 9.95) return `${trimmed(ms)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${trimmed(ms / 1000)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return pair(seconds, 60, 'min', 's')
  const minutes = Math.round(seconds / 60)
  return minutes < 24 * 60 ? pair(minutes, 60, 'h', 'min') : pair(Math.round(minutes / 60), 24, 'd', 'h')
}

/** `900 B`, `64 KB`, `1.5 MB`: powers of 1,024, as the system file counts. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = 0
  // 1,023.95 and up would print as 1,024: the next unit says it better.
  while (value >= (unit === 0 ? 1024 : 1023.95) && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(value) : trimmed(value)} ${units[unit]}`
}

function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}

function pair(total: number, size: number, large: string, small: string): string {
  const rest = total % size
  return `${Math.floor(total / size)} ${large}${rest > 0 ? ` ${rest} ${small}` : ''}`
}
