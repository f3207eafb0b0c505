// Positions in the write-ahead log: PostgreSQL's text `16/B374D848` and one number (exact below 2^53, 8 petabytes).

const high = 2 ** 32

/** Null: it is no pg_lsn, or one beyond 2^53. */
export function lsnOf(text: string): number | null {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (match === null) return null
  const lsn = Number.parseInt(match[1] as string, 16) * high + Number.parseInt(match[2] as string, 16)
  return lsn <= Number.MAX_SAFE_INTEGER ? lsn : null
}

export function lsnText(lsn: number): string {
  return `${Math.floor(lsn / high).toString(16)}/${(lsn % high).toString(16)}`.toUpperCase()
}
