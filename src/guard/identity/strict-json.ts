// JSON of tokens, read so that nobody else can read it in another way: UTF-8 without faults, one object, no name twice
// (RFC 8725 2.4; RFC 7515 4 leaves it to the reader). Bounded by whoever bounds the token.

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Null: not one object, or one that can be read in two ways. */
export function readStrictObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const text = utf8.decode(bytes)
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    return repeatsName(text) ? null : (value as Record<string, unknown>)
  } catch {
    return null
  }
}

/** Of a text that is JSON: does any object have one name twice, however it is spelled (`\u0061`)? */
function repeatsName(text: string): boolean {
  /** Names of each object that is open; null for lists. */
  const open: (Set<string> | null)[] = []
  let isName = false
  for (let at = 0; at < text.length; at++) {
    const c = text[at]
    if (c === '"') {
      const end = endOfString(text, at)
      const names = open.at(-1)
      if (isName && names) {
        const name = JSON.parse(text.slice(at, end)) as string
        if (names.has(name)) return true
        names.add(name)
      }
      isName = false
      at = end - 1
    } else if (c === '{') {
      open.push(new Set())
      isName = true
    } else if (c === '[') open.push(null)
    else if (c === '}' || c === ']') open.pop()
    else if (c === ',') isName = open.at(-1) !== null
  }
  return false
}

/** Behind the closing quote. */
function endOfString(text: string, from: number): number {
  for (let at = from + 1; ; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at + 1
  }
}
