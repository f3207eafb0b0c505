// A Lua script with the name that Redis gives it, so that only its name travels. Holds text; sends nothing.

import { createHash } from 'node:crypto'

export interface Script {
  readonly text: string
  /** SHA-1 of the text, hexadecimal: what EVALSHA takes. */
  readonly sha: string
}

export function defineScript(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
