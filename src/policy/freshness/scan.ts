// Scanning field values that others wrote: tokens, numbers of seconds, quoted strings, lists that respect quotes. Linear in
// the length of what is read, whatever is in it. Knows no field.

/** RFC 9111 1.2.2: what is larger counts as this. */
export const secondsMax = 2_147_483_648

/** Digits only; NaN for anything else, the empty text too. */
export function secondsOf(text: string): number {
  if (text === '') return Number.NaN
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return Number.NaN
    value = Math.min(secondsMax, value * 10 + digit)
  }
  return value
}

export const isBlank = (code: number): boolean => code === 32 || code === 9

/** Index of the next character that is no space or tab, from `at` on. */
export function skipBlanks(text: string, at: number): number {
  let i = at
  while (i < text.length && isBlank(text.charCodeAt(i))) i++
  return i
}

/** Index after the closing quote of the quoted string that begins at `at`; -1 when it never closes. */
export function afterQuoted(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 92) i++
    else if (code === 34) return i + 1
  }
  return -1
}

/** Without its quotes and backslashes. */
export function unquoted(quoted: string): string {
  const inner = quoted.slice(1, -1)
  if (!inner.includes('\\')) return inner
  let text = ''
  for (let i = 0; i < inner.length; i++) {
    if (inner[i] === '\\') i++
    text += inner[i] ?? ''
  }
  return text
}

/** The members of a list (RFC 9110 5.6.1), trimmed, without empty ones; commas in quoted strings do not part. */
export function listMembers(text: string, membersMax: number): string[] {
  const members: string[] = []
  let from = 0
  let i = 0
  const take = (to: number): void => {
    const member = text.slice(from, to).trim()
    if (member !== '') members.push(member)
  }
  while (i < text.length && members.length < membersMax) {
    const code = text.charCodeAt(i)
    if (code === 34) {
      const after = afterQuoted(text, i)
      i = after < 0 ? text.length : after
    } else {
      if (code === 44) {
        take(i)
        from = i + 1
      }
      i++
    }
  }
  if (members.length < membersMax) take(text.length)
  return members
}
